"""Searching folders, through links too."""

from pathlib import Path

import pytest

from cnnlab.data.folders import files_below, subfolders


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "folder"


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def relative(paths, folder: Path) -> list[str]:
    return [path.removeprefix(f"{folder}/") for path in paths]


def test_files_of_all_subfolders_are_found_sorted(folder):
    write(folder / "b", folder / "a" / "deep" / "2", folder / "a" / "1")
    assert relative(files_below(folder).names, folder) == ["a/1", "a/deep/2", "b"]


def test_links_to_folders_are_followed(folder, tmp_path):
    write(folder / "1", tmp_path / "elsewhere" / "deep" / "2")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    found = files_below(folder)
    assert relative(found.names, folder) == ["1", "more/deep/2"]
    assert not found.skipped


def test_a_folder_counts_once_whatever_the_links_to_it_and_keeps_its_own_path(folder, tmp_path):
    write(folder / "z" / "1", tmp_path / "elsewhere" / "2")
    (folder / "a_link_to_z").symlink_to(folder / "z")
    (folder / "first").symlink_to(tmp_path / "elsewhere")
    (folder / "second").symlink_to(tmp_path / "elsewhere")
    found = files_below(folder)
    assert relative(found.names, folder) == ["first/2", "z/1"]
    assert found.skipped == {
        f"{folder}/a_link_to_z/": "second way to the same folder",
        f"{folder}/second/": "second way to the same folder",
    }


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_loops_end(folder, target):
    write(folder / "1", folder / "deep" / "2", folder.parent / "beside" / "3")
    (folder / "deep" / "loop").symlink_to(target)
    found = files_below(folder)
    assert relative(found.names, folder) == ["1", "deep/2"]
    assert found.skipped == {f"{folder}/deep/loop/": "link to a folder above it"}


def test_a_loop_by_way_of_a_folder_elsewhere_ends(folder, tmp_path):
    write(folder / "1", tmp_path / "elsewhere" / "2")
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    found = files_below(folder)
    assert relative(found.names, folder) == ["1", "out/2"]
    assert found.skipped == {f"{folder}/out/back/": "link to a folder above it"}


def test_hidden_files_and_folders_are_left_out_and_told(folder):
    write(folder / "1", folder / ".DS_Store", folder / ".cache" / "2", folder / "__MACOSX" / "._1")
    found = files_below(folder)
    assert relative(found.names, folder) == ["1"]
    assert found.skipped == dict.fromkeys(
        [f"{folder}/{name}" for name in (".DS_Store", ".cache/", "__MACOSX/")], "hidden"
    )


def test_subfolders_are_those_that_can_be_entered_without_going_round(folder, tmp_path):
    write(folder / "b" / "1", tmp_path / "elsewhere" / "2", folder / ".git" / "3", folder / "file")
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "up").symlink_to(tmp_path)
    (folder / "itself").symlink_to("itself")
    found = subfolders(folder)
    assert found.names == ["a", "b"]
    assert found.skipped == {
        f"{folder}/.git/": "hidden",
        f"{folder}/gone": "broken link",
        f"{folder}/itself": "broken link",
        f"{folder}/up/": "link to a folder above it",
    }
