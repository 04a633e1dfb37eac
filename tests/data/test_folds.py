"""Folds, groups, and shares of whole groups."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cnnlab.data.dataset import Split
from cnnlab.data.folds import choose_fold
from cnnlab.data.groups import own_groups, require_separate
from cnnlab.data.overlap import tell_shared
from cnnlab.data.splits import hold_out_fold, hold_out_test, hold_out_validation
from cnnlab.errors import UserError

NAMES = ("a", "b", "c")
SEEDS = range(20)


def examples(labels: Sequence[int], groups: Sequence[object] | None = None) -> Split:
    """Images that are their own number."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(images, np.array(labels, np.int32), groups=None if groups is None else np.array(groups, str))


def patients(seed: int, count: int = 30) -> Split:
    """Images of patients, who have one to nine each, most but not all of one class."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count), random.integers(1, 10, count))
    labels = np.where(random.random(len(groups)) < 0.8, groups % 3, random.integers(0, 3, len(groups)))
    return examples(labels, groups)


def numbers(split: Split) -> list[int]:
    return split.images.reshape(-1).tolist()


def shares(whole: Split, part: Split) -> np.ndarray:
    """Which share of each class is in a part."""
    return np.bincount(part.labels, minlength=3) / np.bincount(whole.labels, minlength=3)


# folds


def test_each_example_validates_in_one_fold_and_trains_in_the_others():
    whole = examples([0] * 20 + [1] * 10 + [2] * 5)
    found = [choose_fold(whole, 5, fold, 0, NAMES) for fold in range(5)]
    assert sorted(number for _, held_out in found for number in numbers(held_out)) == list(range(35))
    for train, held_out in found:
        assert sorted(numbers(train) + numbers(held_out)) == list(range(35))
        assert np.bincount(held_out.labels).tolist() == [4, 2, 1]


def test_folds_depend_on_the_seed_alone():
    whole = examples([0, 1, 2] * 20)
    drawn = [numbers(choose_fold(whole, 5, 2, seed, NAMES)[1]) for seed in (0, 0, 1, 2**40)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_folds_divide_all_but_the_test_split(caplog):
    splits = {"train": examples([0, 1] * 10), "validation": examples([0, 1] * 5), "test": examples([0, 1])}
    with caplog.at_level(logging.INFO):
        found = hold_out_fold(splits, 3, 0, 0, NAMES[:2])
    assert {name: len(split) for name, split in found.items()} == {"train": 20, "validation": 10, "test": 2}
    assert "the dataset's own validation split joins the training split" in caplog.text
    assert "fold 0 of 3 validates" in caplog.text


def test_groups_of_nearly_the_same_name_are_told(caplog):
    names = [f"{number}.png" for number in range(5)]
    assert len({*own_groups(["P07", "p07", "a", "a", ""], names, "dataset.group_column=patient")}) == 4
    assert caplog.messages[-1] == "dataset.group_column=patient: 'P07' and 'p07' count as different groups"


@pytest.mark.parametrize("has_them", ["train", "validation"])
def test_splits_join_where_one_alone_has_weights_and_groups(has_them):
    splits = {"train": examples([0, 1] * 6), "validation": examples([0, 1] * 3)}
    count = len(splits[has_them])
    columns = {"weights": np.full(count, 2, np.float32), "groups": np.array(["a"] * count)}
    splits[has_them] = replace(splits[has_them], **columns)
    joined = splits["train"].join(splits["validation"])
    assert sorted(joined.weights) == [1] * (18 - count) + [2] * count
    assert (len({*joined.groups}), [*joined.groups].count("a")) == (18 - count + 1, count)
    found = hold_out_fold(splits, 3, 0, 0, NAMES[:2])
    assert sum(len(split) for split in found.values()) == 18
    assert sum("a" in split.groups for split in found.values()) == 1


@pytest.mark.parametrize("fold", range(4))
def test_what_is_all_that_a_class_has_always_trains_and_is_told(caplog, fold):
    train, held_out = choose_fold(examples([0] * 8 + [1] * 3 + [2]), 4, fold, 0, NAMES)
    assert 2 in train.labels
    assert 1 in train.labels
    assert 2 not in held_out.labels
    assert "dataset.folds=4: c: 1 image each, which stays in the training split" in caplog.text


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (examples([0, 0, 1, 1]), r"^dataset\.folds=5: there are 4 images to divide; use fewer folds$"),
        (
            examples([0, 0, 1, 1, 2, 2]),
            r"^dataset\.folds=5: no class has more than 2 images to divide; use fewer folds$",
        ),
        (examples([0, 1] * 6, [0, 1, 2] * 4), r"^dataset\.folds=5: there are 3 groups to divide; use fewer folds$"),
    ],
)
def test_too_few_examples_for_the_folds_are_refused(split, message):
    with pytest.raises(UserError, match=message):
        choose_fold(split, 5, 0, 0, NAMES)


def test_the_dataset_of_a_fold_keeps_its_test_split_and_the_folds_are_apart(load):
    datasets = [load("digits", image_shape=[8, 8, 1], folds=5, fold=fold) for fold in range(5)]
    for dataset in datasets:
        assert {name: len(split) for name, split in dataset.splits.items() if name != "train"}["test"] == 360
        assert (dataset.splits["test"].images == datasets[0].splits["test"].images).all()
    assert sum(len(dataset.splits["validation"]) for dataset in datasets) == 1797 - 360


def test_a_copy_of_an_image_in_another_fold_is_told(load, tmp_path, caplog):
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), np.uint8)
    images[1] = images[0]
    np.savez(tmp_path / "set.npz", x_train=images, y_train=np.arange(20) // 10)
    folds = [
        load("arrays", root=tmp_path / "set.npz", image_shape=[4, 4, 3], folds=10, fold=fold, split_seed=1)
        for fold in range(10)
    ]
    for dataset in folds:
        tell_shared(dataset)
    assert caplog.text.count("1 of the 2 images of split validation are in split train too") == 2


# groups


@pytest.mark.parametrize("seed", SEEDS)
def test_a_group_is_never_in_two_splits(seed):
    whole = patients(seed)
    splits = hold_out_validation(hold_out_test({"train": whole}, 0.2, seed, NAMES), 0.25, seed, NAMES)
    require_separate(splits, "")
    groups = [set(split.groups) for split in splits.values()]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 30
    assert sorted(number for split in splits.values() for number in numbers(split)) == list(range(len(whole)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_group_is_never_in_two_folds_and_every_class_is_trained_on(seed):
    whole = patients(seed)
    found = [choose_fold(whole, 5, fold, seed, NAMES) for fold in range(5)]
    assert sorted(number for _, held_out in found for number in numbers(held_out)) == list(range(len(whole)))
    for train, held_out in found:
        assert not set(train.groups) & set(held_out.groups)
        assert set(train.labels) == {0, 1, 2}


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.3, 0.5])
def test_whole_groups_come_near_the_share_of_every_class(fraction):
    whole = patients(0, count=200)
    held_out = hold_out_validation({"train": whole}, fraction, 0, NAMES)["validation"]
    np.testing.assert_allclose(shares(whole, held_out), fraction, atol=0.05)


def test_how_far_whole_groups_come_is_told(caplog):
    whole = examples([0, 1] * 12, np.repeat(np.arange(6), 4))
    with caplog.at_level(logging.INFO):
        held_out = hold_out_validation({"train": whole}, 0.2, 0, NAMES[:2])["validation"]
    assert len(held_out) == 4
    assert "dataset.validation=0.2: 1 of 6 groups are held out, 0.167 of the images" in caplog.text


@pytest.mark.parametrize("seed", SEEDS)
def test_the_only_group_of_a_class_stays_in_the_training_split_and_is_told(caplog, seed):
    whole = examples([0, 1] * 20 + [2] * 4, [*np.repeat(np.arange(10), 4), *["rare"] * 4])
    splits = hold_out_validation({"train": whole}, 0.5, seed, NAMES)
    assert "rare" in splits["train"].groups
    assert "rare" not in splits["validation"].groups
    assert set(splits["train"].labels) == {0, 1, 2}
    assert "dataset.validation=0.5: c: 1 group each, which stays in the training split" in caplog.text


def test_one_group_cannot_be_held_out():
    with pytest.raises(UserError, match=r"^dataset\.validation=0\.2: there are 0 groups that can be held out"):
        hold_out_validation({"train": examples([0, 1] * 4, ["x"] * 8)}, 0.2, 0, NAMES[:2])


def test_a_table_divides_its_groups_and_the_images_without_one_alone(load, write_image, tmp_path, caplog):
    for number in range(12):
        write_image(tmp_path / f"{number}.png", np.full((4, 4), 20 * number, np.uint8))
    groups = [*"xxyyzzxxyy", "", ""]
    rows = [f"{number}.png,{'ab'[number % 2]},{group}" for number, group in enumerate(groups)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,group", *rows]))
    dataset = load("table", root=tmp_path / "t.csv", validation=0.3)
    require_separate(dataset.splits, "")
    assert sum(len(set(split.groups)) for split in dataset.splits.values()) == 5
    assert "t.csv: each image without a group is one (2, such as " in caplog.text


SCENE = r"^(scene\d+)_"


def test_a_pattern_finds_the_groups_of_class_folders(load, write_image, tmp_path, caplog):
    for scene in range(12):
        for shot in range(3):
            write_image(tmp_path / "ab"[scene % 2] / f"scene{scene}_{shot}.png", np.full((4, 4), scene, np.uint8))
    write_image(tmp_path / "a" / "other.png", np.full((4, 4), 99, np.uint8))
    dataset = load("image_folder", root=tmp_path, group=SCENE, test_fraction=0.2, validation=0.2)
    scenes = [{group for group in split.groups if group.startswith("scene")} for split in dataset.splits.values()]
    assert len(set.union(*scenes)) == sum(map(len, scenes)) == 12
    assert (
        f"dataset.group={SCENE}: each image without a group is one (1, such as {tmp_path / 'a' / 'other.png'})"
        in caplog.text
    )


def test_split_folders_that_share_a_group_are_refused(load, write_image, tmp_path):
    for split in ("train", "test"):
        for label in "ab":
            write_image(tmp_path / split / label / "scene1_0.png", np.full((4, 4), 7, np.uint8))
    with pytest.raises(UserError, match=r"^group scene1 is in both the splits train and test; .*dataset\.group=null$"):
        load("image_folder", root=tmp_path, group=SCENE, validation="none")


def test_a_pattern_that_is_found_nowhere_is_refused(load, write_image, tmp_path):
    for label in "ab":
        write_image(tmp_path / label / "1.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match=r"is found in no file's name, such as 1\.png$"):
        load("image_folder", root=tmp_path, group=SCENE)
