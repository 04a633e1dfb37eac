"""Drawing validation and test splits."""

import logging

import numpy as np
import pytest

from cnnlab.data.dataset import Split
from cnnlab.data.splits import choose_validation, hold_out_test, hold_out_validation, parse_validation
from cnnlab.errors import UserError

NAMES = ("a", "b", "c")


def split(count: int, first: int = 0) -> Split:
    """Images that are their own number, of three classes, the last one rare."""
    labels = np.array([0, 1, 0, 1, 2] * (count // 5), np.int32)
    return Split(np.arange(first, first + count, dtype=np.uint8).reshape(-1, 1, 1, 1), labels)


def numbers(part: Split) -> list[int]:
    return part.images.reshape(-1).tolist()


def test_a_fraction_takes_its_share_of_every_class():
    splits = hold_out_validation({"train": split(100), "test": split(10)}, 0.2, seed=0, class_names=NAMES)
    assert np.bincount(splits["validation"].labels).tolist() == [8, 8, 4]
    assert np.bincount(splits["train"].labels).tolist() == [32, 32, 16]
    assert sorted(numbers(splits["train"]) + numbers(splits["validation"])) == list(range(100))
    assert numbers(splits["test"]) == list(range(10))


def test_the_order_of_the_examples_stays():
    splits = hold_out_validation({"train": split(100)}, 0.2, seed=0, class_names=NAMES)
    for part in splits.values():
        assert numbers(part) == sorted(numbers(part))


def test_the_draw_depends_on_the_seed_alone():
    def draw(seed: int) -> list[int]:
        return numbers(hold_out_validation({"train": split(100)}, 0.2, seed, NAMES)["validation"])

    assert draw(0) == draw(0)
    assert draw(0) != draw(1)
    assert draw(2**40) == draw(2**40)


def test_test_and_validation_are_separate_draws():
    def drawn_test(validation: float) -> list[int]:
        return numbers(
            hold_out_validation(hold_out_test({"train": split(100)}, 0.2, 0, NAMES), validation, 0, NAMES)["test"]
        )

    assert drawn_test(0.2) == drawn_test(0.4)
    splits = hold_out_validation(hold_out_test({"train": split(100)}, 0.2, 0, NAMES), 0.5, 0, NAMES)
    assert {name: len(part) for name, part in splits.items()} == {"train": 40, "validation": 40, "test": 20}


def test_published_keeps_the_datasets_own_split():
    splits = hold_out_validation(
        {"train": split(10), "validation": split(5, first=50)}, "published", seed=0, class_names=NAMES
    )
    assert numbers(splits["validation"]) == [50, 51, 52, 53, 54]
    assert len(splits["train"]) == 10


def test_none_trains_on_the_datasets_own_validation_split_too():
    splits = hold_out_validation(
        {"train": split(10), "validation": split(5, first=50)}, "none", seed=0, class_names=NAMES
    )
    assert set(splits) == {"train"}
    assert numbers(splits["train"]) == [*range(10), *range(50, 55)]


def test_a_published_split_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"^dataset\.validation=published: .* use a fraction such as 0\.2, or none$"):
        hold_out_validation({"train": split(10)}, "published", seed=0, class_names=NAMES)


def of_classes(*counts: int) -> Split:
    """A split of classes of these sizes."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return Split(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1), labels)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("counts", "fraction", "held_out"),
    [((97, 3), 0.1, [10, 1]), ((97, 3), 0.9, [87, 2]), ((4, 2, 2), 0.1, [1, 1, 1]), ((2, 2), 0.5, [1, 1])],
)
def test_every_class_of_two_images_or_more_is_on_both_sides(counts, fraction, held_out, seed):
    splits = hold_out_validation({"train": of_classes(*counts)}, fraction, seed, NAMES[: len(counts)])
    assert np.bincount(splits["validation"].labels).tolist() == held_out
    assert np.bincount(splits["train"].labels).tolist() == [
        all_ - out for all_, out in zip(counts, held_out, strict=True)
    ]
    assert sorted(numbers(splits["train"]) + numbers(splits["validation"])) == list(range(sum(counts)))


def test_a_single_image_stays_in_the_training_split_and_its_class_is_named(caplog):
    splits = hold_out_test({"train": of_classes(10, 1, 1)}, 0.2, seed=0, class_names=NAMES)
    assert np.bincount(splits["test"].labels, minlength=3).tolist() == [2, 0, 0]
    assert np.bincount(splits["train"].labels).tolist() == [8, 1, 1]
    assert "dataset.test_fraction=0.2: b, c: 1 image each" in caplog.text


def test_nothing_can_be_held_out_of_classes_of_one_image(caplog):
    with pytest.raises(UserError, match=r"^dataset\.validation=0\.2: no class has two images"):
        hold_out_validation({"train": of_classes(1, 1, 1)}, 0.2, seed=0, class_names=NAMES)


def test_where_proportional_shares_leave_no_class_out_the_draw_is_that_of_scikit_learn():
    held_out = numbers(hold_out_validation({"train": split(100)}, 0.2, seed=0, class_names=NAMES)["validation"])
    assert held_out == [0, 14, 24, 25, 29, 38, 39, 43, 45, 46, 50, 58, 65, 82, 83, 87, 88, 96, 97, 98]


def test_auto_is_the_datasets_own_split_or_else_a_fifth_which_is_told(caplog):
    with caplog.at_level(logging.INFO):
        assert choose_validation("auto", {"train": split(10), "validation": split(5)}) == "published"
        assert not caplog.text
        assert choose_validation("auto", {"train": split(10)}) == 0.2
    assert "0.2 of each class is held out" in caplog.text
    assert choose_validation(0.3, {"train": split(10), "validation": split(5)}) == 0.3


def test_a_second_test_split_is_refused():
    with pytest.raises(UserError, match=r"^dataset\.test_fraction=0\.2: .* has a test split of its own"):
        hold_out_test({"train": split(10), "test": split(5)}, 0.2, seed=0, class_names=NAMES)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 20])
def test_a_test_share_that_is_no_fraction_is_refused(fraction):
    with pytest.raises(UserError, match=r"^dataset\.test_fraction="):
        hold_out_test({"train": split(10)}, fraction, seed=0, class_names=NAMES)


@pytest.mark.parametrize("value", ["auto", "none", "published", 0.2, 0.999])
def test_validation_is_auto_none_published_or_a_fraction(value):
    assert parse_validation(value) == value


@pytest.mark.parametrize("value", ["nine", None, 0.0, 1.0, 2, True, -0.1, float("nan"), "0.2"])
def test_any_other_validation_is_refused(value):
    with pytest.raises(
        UserError, match=r"^dataset\.validation=.*: use auto, none, published, or a fraction such as 0\.2$"
    ):
        parse_validation(value)
