"""Files and folders that are replaced whole, also where several commands write at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.files import numbered_folder, replace_files, require_writable, write_atomically


def test_two_writers_of_one_file_do_not_share_a_temporary_one_though_their_process_ids_are_alike(tmp_path):
    path = tmp_path / "model.keras"
    with write_atomically(path) as first, write_atomically(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_all_who_ask_for_a_free_folder_at_once_get_one_each(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(numbered_folder, [tmp_path / "outputs" / "run"] * 8))
    assert {folder.name for folder in folders} == {"run", *(f"run-{number}" for number in range(2, 9))}
    assert all(folder.is_dir() for folder in folders)


@pytest.fixture
def written(tmp_path):
    """A folder whose table belongs to its seal, beside notes."""
    for name in ("table.csv", "seal.json", "notes.txt"):
        (tmp_path / name).write_text("old")
    return tmp_path


NEW = dict.fromkeys(("seal.json", "table.csv", "figure.png"), "new")


def replace(folder, fault: str = "") -> None:
    with replace_files(folder, last="seal.json") as new:
        for name, text in NEW.items():
            (new / name).write_text(text)
        assert not (folder / "figure.png").is_file()
        if fault:
            raise OSError(fault)


def content(folder) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_files_come_together_and_others_stay(written):
    replace(written)
    assert content(written) == NEW | {"notes.txt": "old"}


def test_where_one_cannot_be_written_all_stay_as_they_were(written):
    before = content(written)
    for folder in (written, written / "none"):
        with pytest.raises(OSError, match="full"):
            replace(folder, fault="the disk is full")
    assert content(written) == before


def test_what_cannot_come_leaves_nothing_that_seals_a_mixture(written):
    (written / "figure.png").mkdir()
    with pytest.raises(IsADirectoryError):
        replace(written)
    assert not (written / "seal.json").exists()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that not even root can write to")
def test_a_run_that_cannot_be_written_is_told_before_the_work():
    with pytest.raises(UserError, match=r"run=/proc/self: cannot be written: .*; copy the run to a folder of your own"):
        require_writable(Path("/proc/self"))


def test_asking_whether_a_run_can_be_written_leaves_nothing(tmp_path):
    require_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
