"""`cnnlab predict`: which files it finds, what it makes of them, and where it says so."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnlab import cli
from cnnlab.data.find_files import find_files
from cnnlab.errors import UserError
from cnnlab.evaluation.prediction_table import reserve_output


@pytest.fixture
def photos(save_image, rng, tmp_path) -> Path:
    """Three images of different sizes and kinds in a folder, one of them in a subfolder, and a text."""
    save_image("photos/grey.png", rng.integers(0, 256, (8, 8, 1), np.uint8))
    save_image("photos/colour.jpg", rng.integers(0, 256, (30, 20, 3), np.uint8))
    save_image("photos/more/a [1], b=é.bmp", rng.integers(0, 256, (5, 50, 3), np.uint8))
    (tmp_path / "photos" / "notes.txt").write_text("not an image")
    return tmp_path / "photos"


NAMES = ("colour.jpg", "grey.png", "more/a [1], b=é.bmp", "notes.txt")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def output(captured) -> Path:
    """The CSV, whose path is the last line printed."""
    return Path(captured.out.splitlines()[-1])


class TestFinding:
    def test_a_folder_is_searched_with_its_subfolders(self, photos):
        assert find_files([str(photos)]) == [str(photos / name) for name in NAMES]

    def test_links_to_folders_are_followed_and_loops_end(self, photos, tmp_path, caplog):
        (photos / "more").rename(tmp_path / "elsewhere")
        (photos / "more").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "back").symlink_to(photos)
        found = find_files([str(photos)])
        assert found == [str(photos / name) for name in NAMES]
        assert f"images={photos}: 1 skipped (1 link to a folder above it)" in caplog.text

    def test_a_glob_is_expanded(self, photos):
        assert find_files([f"{photos}/*.[jp][pn]g"]) == [str(photos / "colour.jpg"), str(photos / "grey.png")]
        assert find_files([f"{photos}/**/*.bmp"]) == [str(photos / "more/a [1], b=é.bmp")]

    def test_a_file_whose_name_looks_like_a_glob_is_that_file(self, photos):
        path = str(photos / "more/a [1], b=é.bmp")
        assert find_files([path]) == [path]

    def test_a_folder_whose_name_looks_like_a_glob_is_that_folder(self, photos):
        photos.rename(photos.with_name("photos [1]"))
        shutil.copytree(photos.with_name("photos [1]"), photos.with_name("photos 1"))
        assert find_files([f"{photos} [1]/*.png"]) == [f"{photos} [1]/grey.png"]
        assert find_files([f"{photos} [0-9]/*.png"]) == [f"{photos} 1/grey.png"]

    def test_a_link_that_leads_nowhere_is_found_as_any_file_is(self, photos):
        (photos / "lost.png").symlink_to("nowhere.png")
        assert find_files([f"{photos}/*.png"]) == [str(photos / "grey.png"), str(photos / "lost.png")]
        assert find_files([str(photos / "lost.png")]) == [str(photos / "lost.png")]

    def test_folders_that_a_glob_matches_and_that_are_not_searched_are_told(self, photos, caplog):
        found = [str(photos / name) for name in NAMES]
        assert find_files([f"{photos}/**"]) == found
        assert find_files([f"{photos}/**/*"]) == found
        assert caplog.text == ""
        assert str(photos / NAMES[2]) not in find_files([f"{photos}/*"])
        assert (
            f"images={photos}/*: matches 1 folder, such as {photos}/more, which images does not search" in caplog.text
        )
        with pytest.raises(
            UserError, match=r"/m\*: matches 1 folder, .*; give the folder itself, or images='.*/m\*/\*\*'$"
        ):
            find_files([f"{photos}/m*"])

    def test_a_file_named_twice_is_found_once(self, photos):
        path = str(photos / "grey.png")
        assert find_files([path, f"{photos}/*.png"]) == [path]

    @pytest.mark.parametrize("pattern", ["*.jpeg", "nowhere.png", "nowhere/*"])
    def test_a_pattern_without_files_is_refused(self, photos, pattern):
        with pytest.raises(
            UserError, match=r"^images=IMG_0 IMG_1 .*…: too long for the name of a file; give several as"
        ):
            find_files([" ".join(f"IMG_{number}" for number in range(100))])
        with pytest.raises(UserError, match=r"^images=.*: no such file, and no file matches"):
            find_files([str(photos / "grey.png"), f"{photos}/{pattern}"])

    def test_a_folder_without_files_is_refused(self, tmp_path):
        with pytest.raises(UserError, match="holds no file"):
            find_files([str(tmp_path)])


def test_predictions_are_those_of_the_model(run, model, save_image, rng, tmp_path):
    images = rng.integers(0, 256, (5, 8, 8, 1), np.uint8)
    for index, image in enumerate(images):
        save_image(f"{index}.png", image)
    table = tmp_path / "table.csv"
    arguments = [f"run={run}", f"images={tmp_path}/*.png", "top=2", "batch_size=2", f"output={table}"]
    assert cli.main(["predict", *arguments]) == 0
    probabilities = model.predict(images, verbose=0)
    order = np.argsort(-probabilities, axis=1)
    found = rows(table)
    assert [row["file"] for row in found] == [str(tmp_path / f"{index}.png") for index in range(5)]
    for row, expected, (first, second) in zip(found, probabilities, order[:, :2], strict=True):
        assert (row["class"], row["class_2"]) == (str(first), str(second))
        assert float(row["probability"]) == pytest.approx(expected[first], abs=1e-5)
        assert float(row["probability_2"]) == pytest.approx(expected[second], abs=1e-5)
    assert {row["status"] for row in found} == {"ok"}
    assert set(found[0]) == {"file", "status", "class", "probability", "class_2", "probability_2"}


def test_colour_and_grey_images_of_any_size_are_taken(run, photos, capsys):
    assert cli.main(["predict", f"run={run}", f"images={photos}"]) == 0
    captured = capsys.readouterr()
    assert [bool(row["class"]) for row in rows(output(captured))] == [True, True, True, False]
    for name in NAMES:
        assert f"{photos / name} " in captured.out


def test_a_colour_model_takes_grey_images(train, photos, capsys):
    colour_run = train("input_shape=[8,8,3]", "trainer.steps=1")
    capsys.readouterr()
    assert cli.main(["predict", f"run={colour_run}", f"images={photos / 'grey.png'}"]) == 0
    assert len(rows(output(capsys.readouterr()))) == 1


def test_each_call_writes_a_file_of_its_own(run, photos, capsys):
    written = []
    for _ in range(2):
        assert cli.main(["predict", f"run={run}", f"images={photos / 'grey.png'}"]) == 0
        written.append(output(capsys.readouterr()))
    assert written[0] != written[1]
    assert written[0].read_text() == written[1].read_text()
    assert {path.parent for path in written} == {run / "predict"}


def test_calls_at_the_same_time_write_files_of_their_own_too(tmp_path):
    assert reserve_output(None, tmp_path) != reserve_output(None, tmp_path)
    reserve_output(f"{tmp_path}/mine.csv", tmp_path)
    with pytest.raises(UserError, match=r"mine\.csv: exists; remove it or choose another file"):
        reserve_output(f"{tmp_path}/mine.csv", tmp_path)


def test_a_run_that_has_not_come_to_its_end_is_told(run, photos, tmp_path, capsys):
    copied = shutil.copytree(run, tmp_path / "copied")
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"status": "diverged"}))
    assert cli.main(["predict", f"run={copied}", f"images={photos / 'grey.png'}"]) == 0
    assert f"{copied}: is diverged; its best model so far is taken" in capsys.readouterr().err


def test_more_classes_than_there_are_gives_all(run, photos, capsys):
    assert cli.main(["predict", f"run={run}", f"images={photos / 'grey.png'}", "top=99"]) == 0
    (row,) = rows(output(capsys.readouterr()))
    assert {row["class"], *(row[f"class_{place}"] for place in range(2, 11))} == set("0123456789")


def test_every_file_has_a_row_that_says_what_became_of_it(run, photos, capsys):
    (photos / "damaged.png").write_bytes((photos / "grey.png").read_bytes()[:50])
    (photos / "empty.png").touch()
    assert cli.main(["predict", f"run={run}", f"images={photos}"]) == 0
    captured = capsys.readouterr()
    found = {Path(row["file"]).name: row for row in rows(output(captured))}
    assert {name for name, row in found.items() if row["status"] == "ok"} == {
        "colour.jpg",
        "grey.png",
        "a [1], b=é.bmp",
    }
    assert found["damaged.png"]["status"].startswith("damaged: ")
    assert found["empty.png"] | {"file": ""} == dict.fromkeys(found["empty.png"], "") | {"status": "empty"}
    assert "3 of 6 files are no images that can be read (1 damaged: " in captured.err
    assert "1 converted to 8-bit grey or RGB (1 BMP RGB)" in captured.err


def test_nothing_but_damaged_images_is_refused(run, photos, capsys):
    assert cli.main(["predict", f"run={run}", f"images={photos / 'notes.txt'}"]) == 2
    assert "notes.txt: no image among 1 file(s) (1 no JPEG, " in capsys.readouterr().err


def test_an_existing_file_is_not_overwritten(run, photos, tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("precious")
    assert cli.main(["predict", f"run={run}", f"images={photos}", f"output={table}"]) == 2
    assert f"output={table}: exists" in capsys.readouterr().err
    assert table.read_text() == "precious"


def test_a_file_name_that_is_not_utf8_keeps_its_bytes_in_the_table_and_is_readable_on_the_terminal(run, photos, capsys):
    good, bad = (os.fsencode(photos) + name for name in (b"/caf\xe9.png", b"/damag\xe9.png"))
    Path(os.fsdecode(good)).write_bytes((photos / "grey.png").read_bytes())
    Path(os.fsdecode(bad)).write_bytes(b"no image")
    assert cli.main(["predict", f"run={run}", f"images={photos}"]) == 0
    captured = capsys.readouterr()
    assert good + b"," in output(captured).read_bytes()
    assert "caf\\xe9.png" in captured.out
    assert "damag\\xe9.png " in captured.out
