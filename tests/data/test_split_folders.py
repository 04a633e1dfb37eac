"""Which folders are splits and which are classes."""

import logging
from pathlib import Path

import numpy as np
import pytest

from cnnlab.data.split_folders import find_splits
from cnnlab.errors import UserError


@pytest.fixture
def base(write_image, tmp_path, caplog):
    """`base("Train/cat", …)` makes folders with an image in each; returns their parent."""
    caplog.set_level(logging.INFO)

    def make(*folders: str) -> Path:
        for folder in folders:
            write_image(tmp_path / "photos" / folder / "1.png", np.zeros((2, 2), np.uint8))
        return tmp_path / "photos"

    return make


def found(base: Path, **options: str) -> dict[str, str]:
    return {split: str(path.relative_to(base)) for split, path in find_splits(base, **options).items()}


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "validation", "test"),
        ("training", "val", "testing"),
        ("Training", "valid", "Testing"),
        ("Train", "Dev", "Test"),
        ("TRAIN", "VAL", "TEST"),
    ],
)
def test_splits_are_known_by_their_usual_names_in_any_case(base, caplog, train, validation, test):
    folder = base(f"{train}/cat", f"{train}/dog", f"{validation}/cat", f"{test}/cat")
    assert found(folder) == {"train": train, "validation": validation, "test": test}
    for name, split in ((train, "train"), (validation, "validation"), (test, "test")):
        assert (f"{name}/ is used as {split}" in caplog.text) == (name != split)


def test_two_folders_for_one_split_are_refused(base):
    with pytest.raises(UserError, match=r"photos: val/ and valid/ stand for one split, validation; keep one of them"):
        find_splits(base("train/cat", "val/cat", "valid/cat"))
    with pytest.raises(UserError, match=r"photos: Train/ and train/ stand for one split, train; keep one of them"):
        find_splits(base("Train/cat"))


def test_what_lies_beside_train_and_is_not_used_is_named(base, caplog):
    folder = base("train/cat", "extra/cat", "unlabelled", "test")
    (folder / "notes").mkdir()
    assert found(folder) == {"train": "train"}
    assert "extra/ and unlabelled/ are not used, but only train/" in caplog.text
    assert "test/ has no class folders and is not used" in caplog.text
    assert "notes" not in caplog.text


@pytest.mark.parametrize(
    ("folders", "looks"),
    [
        (("train", "test"), "train/ and test/ look like splits"),
        (("train",), "train/ looks like a split"),
        (("Testing/cat", "val/cat"), "val/ and Testing/ look like splits"),
        (("test/cat", "cat", "dog"), "test/ looks like a split"),
    ],
)
def test_what_looks_like_splits_is_never_learnt_as_classes(base, folders, looks):
    with pytest.raises(UserError, match=rf"photos: {looks}, but there is no train/ .*dataset\.splits=none"):
        find_splits(base(*folders))


def test_with_splits_none_they_are_classes_after_all(base):
    assert found(base("train", "test/old", "val", "valid"), splits="none") == {"train": "."}


def test_a_class_called_like_a_split_beside_other_classes_is_one_and_that_is_told(base, caplog):
    assert found(base("cat", "dog", "test")) == {"train": "."}
    assert "test/ is taken for a class like cat/ and dog/" in caplog.text


def test_other_folders_are_classes_without_a_word(base, caplog):
    assert found(base("cat", "trains", "contest", "values")) == {"train": "."}
    assert not caplog.text
