"""Which examples validate and which test: the dataset's own splits, or shares drawn from the split seed."""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from cnnlab.data.dataset import Split, Validation
from cnnlab.data.folds import choose_fold, hold_out_groups, random_state
from cnnlab.errors import UserError
from cnnlab.reporting.words import first_few

log = logging.getLogger(__name__)

HELD_OUT = 0.2
"""The share of each class that dataset.validation=auto holds out where there is no validation split."""


def parse_validation(value: object) -> Literal["auto"] | Validation:
    """Check `dataset.validation`: auto, none, published, or a fraction.

    Raises:
        UserError: it is none of these.
    """
    if value in ("auto", "none", "published"):
        return value
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise UserError(f"dataset.validation={value}: use auto, none, published, or a fraction such as 0.2")


def choose_validation(requested: Literal["auto"] | Validation, splits: Mapping[str, Split]) -> Validation:
    """What `dataset.validation` means for a dataset: "auto" is its own split, or else a share of each class."""
    if requested != "auto":
        return requested
    if "validation" in splits:
        return "published"
    log.info("no validation split was found: %s of each class is held out (dataset.validation=auto)", HELD_OUT)
    return HELD_OUT


def hold_out_test(
    splits: dict[str, Split], fraction: float | None, seed: int, class_names: Sequence[str]
) -> dict[str, Split]:
    """Draw a test split from the training examples of a dataset that has none.

    Args:
        splits: "train" and maybe "validation".
        fraction: the share of each class, in (0, 1), see `hold_out`; None changes nothing.
        seed: the split seed.
        class_names: in label order.

    Raises:
        UserError: there is a test split already, or the share cannot be drawn from every class.
    """
    if fraction is None:
        return splits
    key = f"dataset.test_fraction={fraction}"
    if not 0 < fraction < 1:
        raise UserError(f"{key}: use null or a fraction such as 0.2")
    if "test" in splits:
        raise UserError(f"{key}: the dataset has a test split of its own; use null")
    train, test = hold_out(splits["train"], fraction, (seed, 0), key, class_names)
    return {**splits, "train": train, "test": test}


def hold_out_validation(
    splits: dict[str, Split], validation: Validation, seed: int, class_names: Sequence[str]
) -> dict[str, Split]:
    """Choose the validation split.

    Args:
        splits: "train" and maybe "validation" and "test".
        validation: "none" trains on everything but the test split; "published" keeps the dataset's own
            validation split; a fraction draws that share of each class from all but the test split, see `hold_out`.
        seed: the split seed.
        class_names: in label order.

    Raises:
        UserError: there is no published split, or the share cannot be drawn from every class.
    """
    if validation == "published":
        if "validation" not in splits:
            raise UserError(
                "dataset.validation=published: this dataset has no validation split of its own; "
                "use a fraction such as 0.2, or none"
            )
        return splits
    rest = _joined(splits)
    if validation == "none":
        return rest
    key = f"dataset.validation={validation}"
    train, held_out = hold_out(rest["train"], validation, (seed, 1), key, class_names)
    return {**rest, "train": train, "validation": held_out}


def hold_out_fold(
    splits: dict[str, Split], folds: int, fold: int, seed: int, class_names: Sequence[str]
) -> dict[str, Split]:
    """Let one of `folds` parts of all but the test split validate, see `choose_fold`."""
    rest = _joined(splits)
    train, held_out = choose_fold(rest["train"], folds, fold, seed, class_names)
    return {**rest, "train": train, "validation": held_out}


def _joined(splits: Mapping[str, Split]) -> dict[str, Split]:
    """The splits, whose validation split has joined the training split, which is told."""
    rest = {name: split for name, split in splits.items() if name != "validation"}
    if "validation" in splits:
        log.info("the dataset's own validation split joins the training split")
        rest["train"] = splits["train"].join(splits["validation"])
    return rest


def hold_out(
    split: Split, fraction: float, seed: tuple[int, int], key: str, class_names: Sequence[str]
) -> tuple[Split, Split]:
    """Hold out a share of each class, at least one image and never all, of every class that has two or more.

    The image of a class that has only one stays where it is; which classes these are is told. Groups, where there are
    some, are not divided, see `hold_out_groups`.

    Args:
        split: to draw from.
        fraction: the share, in (0, 1).
        seed: of the draw.
        key: "key=value" that asked for it, for the messages.
        class_names: in label order.

    Returns:
        The rest and the share, both in the order of `split`.

    Raises:
        UserError: no class has two images.
    """
    if split.groups is not None:
        return hold_out_groups(split, fraction, seed, key, class_names)
    counts = np.bincount(split.labels, minlength=len(class_names))
    single = [name for name, count in zip(class_names, counts, strict=True) if count == 1]
    if counts.max() < 2:
        raise UserError(
            f"{key}: no class has two images, so none can be held out; "
            "add some, or use validation=none, test_fraction=null"
        )
    if single:
        log.warning("%s: %s: 1 image each, which stays in the training split; none is held out", key, first_few(single))
    share = _proportional(split.labels, fraction, seed)
    if share is None:
        share = _class_by_class(split.labels, fraction, seed)
    return split.take(np.setdiff1d(np.arange(len(split)), share)), split.take(np.sort(share))


def _proportional(labels: np.ndarray, fraction: float, seed: tuple[int, int]) -> np.ndarray | None:
    """scikit-learn's stratified draw; None where it leaves a class without an image on either side."""
    from sklearn.model_selection import train_test_split  # slow to import

    try:
        rest, share = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=random_state(*seed)
        )
    except ValueError:  # a class has one image only, or there are more classes than images on a side
        return None
    sides = (np.unique(labels[side]) for side in (rest, share))
    return share if all(len(classes) == len(np.unique(labels)) for classes in sides) else None


def _class_by_class(labels: np.ndarray, fraction: float, seed: tuple[int, int]) -> np.ndarray:
    """The nearest whole number of images of each class, but at least one and not all; none of one."""
    random, share = random_state(*seed), []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        share.append(members[: min(max(1, round(fraction * len(members))), len(members) - 1)])
    return np.concatenate(share)
