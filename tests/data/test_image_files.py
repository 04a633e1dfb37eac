"""Which files are images that can be read, and what is remembered of it."""

import errno
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data import image_files as checking
from cnnlab.data.decode import load_images
from cnnlab.data.image_cache import CheckedImage, Stamp, cache_folder, recall
from cnnlab.data.image_files import EMPTY, NO_IMAGE, check_images, image_files
from cnnlab.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def jpeg(tmp_path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "whole.jpg")
    return tmp_path / "whole.jpg"


def fault(path: Path) -> str:
    (checked,) = check_images([str(path)])
    return checked.fault


def test_a_whole_image_is_its_own_source(jpeg):
    (checked,) = check_images([str(jpeg)])
    assert (checked.source, checked.orientation, checked.kind, checked.fault) == (str(jpeg), 1, "", "")


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.webp", "cut.tiff", "cut.gif"])
def test_a_truncated_file_is_damaged(tmp_path, name, kept):
    Image.fromarray(PIXELS).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * kept)])
    assert fault(tmp_path / name).startswith(("damaged: ", NO_IMAGE))


def test_a_jpeg_whose_pixels_libjpeg_only_guesses_is_damaged(jpeg):
    content = bytearray(jpeg.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = b"\xff\x00" * 20  # ones only, which no code consists of
    jpeg.write_bytes(content)
    Image.open(jpeg).load()  # which complains of nothing
    assert fault(jpeg) == "damaged: bad Huffman code"


def test_a_tiff_with_16_bits_per_colour_is_told_rather_than_shown_nearly_black(tmp_path):
    """Image file directory by hand: Pillow writes no such file."""
    values = np.full((4, 4, 3), 4095, "<u2").tobytes()
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 3, 8 + len(values)), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 1, len(values))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    depths = struct.pack("<HHH", 16, 16, 16)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(values) + len(depths))
    (tmp_path / "scan.tif").write_bytes(header + values + depths + directory)
    assert fault(tmp_path / "scan.tif").startswith("16-bit colour in a TIFF")


def test_bytes_too_many_cost_neither_the_image_nor_a_line_of_libjpeg_on_the_terminal(jpeg, capfd):
    content = jpeg.read_bytes()
    jpeg.write_bytes(content[:-2] + b"surplus" + content[-2:])
    checked = check_images([str(jpeg)])
    assert (checked[0].kind, checked[0].fault) == ("JPEG with surplus bytes", "")
    capfd.readouterr()
    found = load_images(image_files([str(jpeg)], checked, (60, 80, 3), "squash"))
    assert "JPEG data" not in capfd.readouterr().err
    np.testing.assert_array_equal(found[0], np.asarray(Image.open(checked[0].source)))


def test_what_holds_no_image_is_none_whatever_it_is_called(tmp_path):
    (tmp_path / "text.jpg").write_text("a page that says 404")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    assert fault(tmp_path / "text.jpg") == NO_IMAGE
    assert fault(tmp_path / "empty.jpg") == EMPTY
    assert fault(tmp_path / "link.jpg") == "broken link"


def test_an_image_beyond_the_limit_is_refused_without_being_decoded(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    assert fault(tmp_path / "huge.png") == "more than 178,956,970 pixels"


def test_what_is_known_of_a_file_is_not_found_out_again_until_it_changes(jpeg, tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / "odd.webp")
    (tmp_path / "text.jpg").write_text("no image")
    paths = [str(jpeg), str(tmp_path / "odd.webp"), str(tmp_path / "text.jpg")]
    looked_at = []
    check = checking._check
    monkeypatch.setattr(checking, "_check", lambda path, stamp: looked_at.append(path) or check(path, stamp))
    first = check_images(paths)
    assert sorted(looked_at) == sorted(paths)
    assert check_images(paths) == first
    assert len(looked_at) == 3
    jpeg.write_bytes(jpeg.read_bytes()[:500])
    Path(first[1].source).unlink()
    again = check_images(paths)
    assert looked_at[3:] == paths[:2]
    assert again[0].fault.startswith("damaged")
    assert Path(again[1].source).exists()


def test_what_was_found_out_before_ctrl_c_is_not_found_out_again(tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{number}.jpg") for number in range(5)]
    for path in paths:
        Image.fromarray(PIXELS).save(path)
    check = checking._check

    def interrupted(path: str, stamp: Stamp) -> CheckedImage:
        if path == paths[-1]:
            raise KeyboardInterrupt
        return check(path, stamp)

    monkeypatch.setattr(checking, "_KEPT_AT_ONCE", 2, raising=False)
    monkeypatch.setattr(checking, "_check", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check_images(paths)
    assert sorted(recall({path: checking._stamp(path) for path in paths})) == paths[:4]


def test_a_link_is_known_by_the_file_that_it_leads_to(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.webp")
    sources = set()
    for number in range(3):  # as in the folders of which each lasts for one call of `run.predict`
        link = tmp_path / f"{number}" / "a.webp"
        link.parent.mkdir()
        link.symlink_to(tmp_path / "a.webp")
        (checked,) = check_images([str(link)])
        sources.add(checked.source)
    assert len(sources) == 1


def test_nothing_is_written_beside_the_data(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(PIXELS).save(folder / "odd.webp")
    (checked,) = check_images([str(folder / "odd.webp")])
    assert [path.name for path in folder.iterdir()] == ["odd.webp"]
    assert Path(checked.source).is_relative_to(cache_folder())


def test_a_file_that_the_drive_does_not_give_is_not_taken_for_damaged(jpeg, monkeypatch):
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", fail)
        with pytest.raises(UserError, match=r"whole\.jpg: cannot be read \(Input/output"):
            check_images([str(jpeg)])
    assert fault(jpeg) == "", "nothing is remembered of it"


def test_without_a_cache_images_are_checked_all_the_same(jpeg, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert fault(jpeg) == ""
    assert "images are checked anew" in caplog.text
    Image.fromarray(PIXELS).save(tmp_path / "odd.webp")
    with pytest.raises(UserError, match=r"odd\.webp must be converted for TensorFlow; set XDG_CACHE_HOME"):
        check_images([str(tmp_path / "odd.webp")])
