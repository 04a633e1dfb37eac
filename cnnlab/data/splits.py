"""Which examples validate and which test: the dataset's own splits, or shares drawn from the split seed."""

import logging
from typing import Literal

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError

logger = logging.getLogger(__name__)

Validation = Literal["none", "published"] | float


def parse_validation(value: object) -> Validation:
    """Check `dataset.validation`: none, published, or a fraction.

    Raises:
        UserError: it is none of these.
    """
    if value in ("none", "published"):
        return value
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise UserError(f"dataset.validation={value}: use none, published, or a fraction such as 0.2")


def carve_test(splits: dict[str, Split], fraction: float | None, seed: int) -> dict[str, Split]:
    """Draw a test split from the training examples of a dataset that has none.

    Args:
        splits: "train" and maybe "validation".
        fraction: the share of each class, in (0, 1); None changes nothing.
        seed: the split seed.

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
    train, test = _stratified(splits["train"], fraction, (seed, 0), key)
    return {**splits, "train": train, "test": test}


def carve_validation(splits: dict[str, Split], validation: Validation, seed: int) -> dict[str, Split]:
    """Choose the validation split.

    Args:
        splits: "train" and maybe "validation" and "test".
        validation: "none" trains on everything but the test split; "published" keeps the dataset's own
            validation split; a fraction draws that share of each class from all but the test split.
        seed: the split seed.

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
    rest = {name: split for name, split in splits.items() if name != "validation"}
    if "validation" in splits:
        logger.info("the dataset's own validation split joins the training split")
        rest["train"] = splits["train"].join(splits["validation"])
    if validation == "none":
        return rest
    train, held_out = _stratified(rest["train"], validation, (seed, 1), f"dataset.validation={validation}")
    return {**rest, "train": train, "validation": held_out}


def _stratified(split: Split, fraction: float, seed: tuple[int, int], key: str) -> tuple[Split, Split]:
    """The rest and a share of each class, both in the order of `split`."""
    from sklearn.model_selection import train_test_split  # slow to import

    random = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    try:
        rest, share = train_test_split(
            np.arange(len(split)), test_size=fraction, stratify=split.labels, random_state=random
        )
    except ValueError as error:
        raise UserError(f"{key}: {' '.join(str(error).split())}") from error
    return split.take(np.sort(rest)), split.take(np.sort(share))
