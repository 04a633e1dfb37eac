"""Class folders of image files."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.dataset import ImageFiles
from cnnlab.data.image_files import NO_IMAGE

PIXELS = np.zeros((5, 4, 3), np.uint8)


@pytest.fixture
def write(write_image, tmp_path):
    """write("a/1.jpg", …) writes small images under tmp_path."""

    def write(*names: str) -> None:
        for name in names:
            write_image(tmp_path / name, PIXELS)

    return write


def names(split, base: Path) -> list[str]:
    return [str(Path(path).relative_to(base)) for path in split.images.paths]


def test_split_folders_make_the_splits(load, write, tmp_path):
    write("train/cat/1.jpg", "train/dog/1.png", "validation/cat/2.bmp", "test/dog/3.gif")
    dataset = load("image_folder", root=tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert names(dataset.splits["train"], tmp_path) == ["train/cat/1.jpg", "train/dog/1.png"]
    assert names(dataset.splits["validation"], tmp_path) == ["validation/cat/2.bmp"]
    assert names(dataset.splits["test"], tmp_path) == ["test/dog/3.gif"]
    assert dataset.splits["test"].labels.tolist() == [1]


def test_class_folders_alone_are_all_training_data(load, write, tmp_path):
    write("b/1.jpg", "a/1.jpg", "train/1.jpg")
    dataset = load("image_folder", root=tmp_path, validation="none")
    assert dataset.class_names == ("a", "b", "train")
    assert dataset.splits["train"].labels.tolist() == [0, 1, 2]


def test_images_stay_on_disk_until_they_are_needed(load, write, tmp_path):
    write("a/1.jpg", "b/1.jpg")
    images = load("image_folder", root=tmp_path, validation="none", image_shape=[9, 8, 1]).splits["train"].images
    assert isinstance(images, ImageFiles)
    assert images.image_shape == (9, 8, 1)
    assert all(os.path.isabs(path) for path in images.paths)  # noqa: PTH117


def test_the_order_is_that_of_the_sorted_names_and_labels_are_int32(load, write, tmp_path):
    write("b/2.jpg", "b/10.jpg", "a/deep/2.jpg", "a/z.jpg", "a/deep/1.jpg")
    train = load("image_folder", root=tmp_path, validation="none").splits["train"]
    assert names(train, tmp_path) == ["a/deep/1.jpg", "a/deep/2.jpg", "a/z.jpg", "b/10.jpg", "b/2.jpg"]
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert train.labels.dtype == np.int32


def test_hidden_files_and_folders_are_left_out(load, write, tmp_path):
    write("a/1.jpg", "b/1.jpg", "a/._1.jpg", ".cache/1.jpg", "b/.trash/1.jpg", "__MACOSX/a/1.jpg")
    train = load("image_folder", root=tmp_path, validation="none").splits["train"]
    assert names(train, tmp_path) == ["a/1.jpg", "b/1.jpg"]


def test_what_a_file_is_shows_in_its_first_bytes_not_in_its_name(load, write, tmp_path):
    write("a/1.jpg", "b/1.jpg")
    (tmp_path / "a" / "1.jpg").rename(tmp_path / "a" / "1")
    (tmp_path / "a" / "2.jpg").write_text("a page that says 404")
    train = load("image_folder", root=tmp_path, validation="none").splits["train"]
    assert names(train, tmp_path) == ["a/1", "b/1.jpg"]


def test_every_file_that_is_left_out_is_told_with_the_reason(load, write, tmp_path, caplog):
    write("train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "train/loose.jpg", "loose.jpg", "train/a/._1.jpg")
    (tmp_path / "train" / "a" / "2.jpg").write_text("a page that says 404")
    (tmp_path / "train" / "b" / "3.jpg").touch()
    (tmp_path / "val" / "a" / "4.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "train" / "README").write_text("no image, and none that anyone would miss")
    with caplog.at_level(logging.INFO):
        dataset = load("image_folder", root=tmp_path)
    skipped = {split: {path.removeprefix(f"{tmp_path}/"): reason for path, reason in files.items()}
               for split, files in dataset.skipped.items()}  # fmt: skip
    assert skipped == {
        "train": {
            "loose.jpg": "outside the class folders",
            "train/loose.jpg": "outside the class folders",
            "train/a/._1.jpg": "hidden",
            "train/a/2.jpg": NO_IMAGE,
            "train/b/3.jpg": "empty",
        },
        "validation": {"val/a/4.jpg": "broken link"},
    }
    assert "; 5 skipped (2 outside the class folders; 1 hidden; 1 " in caplog.text
    assert "; 1 skipped (1 broken link)" in caplog.text


def test_images_behind_links_to_folders_belong_to_the_class(load, write, tmp_path):
    write("photos/a/1.jpg", "photos/b/1.jpg", "elsewhere/2.jpg", "c/3.jpg")
    (tmp_path / "photos" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "a" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "c").symlink_to(tmp_path / "c")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    train = load("image_folder", root=tmp_path / "link", validation="none").splits["train"]
    assert names(train, tmp_path / "link") == ["a/1.jpg", "a/more/2.jpg", "b/1.jpg", "c/3.jpg"]


def test_a_folder_without_a_validation_split_has_a_fifth_held_out(load, write, tmp_path):
    write(*(f"{name}/{number}.jpg" for name in "abc" for number in range(10)))
    dataset = load("image_folder", root=tmp_path)
    assert {name: np.bincount(split.labels).tolist() for name, split in dataset.splits.items()} == {
        "train": [8, 8, 8],
        "validation": [2, 2, 2],
    }
    assert dataset.validation == 0.2
    assert dataset.class_names == ("a", "b", "c")


def test_the_dataset_is_called_like_its_folder(load, write, tmp_path):
    write("my photos.2024/a/1.jpg", "my photos.2024/b/1.jpg")
    assert load("image_folder", root=tmp_path / "my photos.2024", validation="none").name == "my photos.2024"


def test_validation_goes_on_without_a_class_which_is_told(load, write, tmp_path, caplog):
    write("train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg")
    (tmp_path / "val" / "b").mkdir()
    with caplog.at_level(logging.INFO):
        assert len(load("image_folder", root=tmp_path).splits["validation"]) == 1
    assert f"{tmp_path.name}, validation: 1 image of 1 class; none of b, c" in caplog.text


def test_a_pipe_does_not_stop_the_scan(load, write, tmp_path):
    write("a/1.jpg", "b/1.jpg")
    os.mkfifo(tmp_path / "a" / "pipe")
    assert len(load("image_folder", root=tmp_path, validation="none").splits["train"]) == 2


def test_shares_are_drawn_from_files_too(load, write, tmp_path):
    write(*(f"{name}/{number}.jpg" for name in "ab" for number in range(10)))
    splits = load("image_folder", root=tmp_path, test_fraction=0.2, validation=0.25).splits
    assert {name: np.bincount(split.labels).tolist() for name, split in splits.items()} == {
        "train": [6, 6],
        "validation": [2, 2],
        "test": [2, 2],
    }
    paths = np.concatenate([split.images.paths for split in splits.values()])
    assert len(set(paths)) == 20
    assert all((Path(path).parent.name == "b") == label for split in splits.values()
               for path, label in zip(split.images.paths, split.labels, strict=True))  # fmt: skip


def test_the_real_cats_and_dogs(load, cnnlab_data):
    dataset = load("cats_vs_dogs", root=cnnlab_data)
    assert dataset.name == "cats_vs_dogs"
    assert dataset.class_names == ("cats", "dogs")
    assert dataset.image_shape == (150, 150, 3)
    assert {name: np.bincount(split.labels).tolist() for name, split in dataset.splits.items()} == {
        "train": [1000, 1000],
        "validation": [500, 500],
    }
    inside = load("cats_vs_dogs", root=cnnlab_data / "cats_vs_dogs")
    assert inside.splits["train"].images.paths.tolist() == dataset.splits["train"].images.paths.tolist()
