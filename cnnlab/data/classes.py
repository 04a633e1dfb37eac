"""Labels mean what they say: the classes of data are found among a model's by their names."""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError
from cnnlab.reporting.words import first_few

logger = logging.getLogger(__name__)

SHOWN = 10
"""Classes that a message names before it says how many more there are."""


def numbered_classes(count: int) -> tuple[str, ...]:
    """What classes without names are called: 0, 1, …"""
    return tuple(str(index) for index in range(count))


def are_numbers(class_names: Sequence[str]) -> bool:
    """Whether classes are called 0, 1, …, in any order: folders are read as 0, 1, 10, 11, 2, …."""
    return {*class_names} == {*numbered_classes(len(class_names))}


def classes_of_model(
    dataset: Dataset, class_names: Sequence[str] | None, file: Path, *, is_trained_here: bool
) -> Dataset:
    """Give a dataset the classes of a model, which may have no names for them.

    Args:
        dataset: with classes of its own.
        class_names: the model's, see `align_classes`; None for none.
        file: of the model, for the message.
        is_trained_here: whether a run of cnnlab's trained it: then, without names, its classes are the numbers that
            were its labels. Of another's model nobody knows in which order it counts folders called 0, 1, 10, 2.

    Returns:
        The dataset; where the model has no names the classes of the data stand for its outputs in their order, which
        is told, but for what is numbered by a model of ours.

    Raises:
        UserError: see `align_classes`.
    """
    numbers = numbered_classes(len(dataset.class_names))
    if class_names is not None:
        return align_classes(dataset, class_names)
    if is_trained_here and are_numbers(dataset.class_names):
        return align_classes(dataset, numbers)
    if dataset.named and dataset.class_names != numbers:
        meant = list_names([f"{index} is {name}" for index, name in enumerate(dataset.class_names)])
        logger.warning("%s: has no class names, so its outputs count the classes of %s: %s", file, dataset.name, meant)
    return dataset


def align_classes(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """Give a dataset the classes of a model: labels are mapped by name, and what is done is told in a line each.

    Names are the same in either Unicode form, as macOS and others write an accent, unless the model has both. Images of
    classes that the model does not know cannot be classified rightly and are left out. Labels without names are such
    names where the model's are 0, 1, …; else they stay, and stand for the model's outputs in their order.

    Args:
        dataset: with classes of its own.
        class_names: the model's, in the order of its outputs; where one is there twice the first counts.

    Returns:
        The dataset with `class_names`, its labels positions in them; `left_out` says which images are missing.

    Raises:
        UserError: nothing is left of a split, or data without names have more classes than the model.
    """
    if not dataset.named and not are_numbers(class_names):
        return _by_position(dataset, tuple(class_names))
    positions = _first_positions(map(_composed, class_names)) | _first_positions(class_names)
    found = (positions.get(name, positions.get(_composed(name), -1)) for name in dataset.class_names)
    mapping = np.array([*found], np.int32)
    known = np.flatnonzero(mapping >= 0)
    if (mapping[known] != known).any():
        logger.info(
            "%s: labels are mapped by name: its classes are %s, the model's %s",
            dataset.name, list_names(dataset.class_names), list_names(class_names),
        )  # fmt: skip
    splits, left_out = {}, {}
    for name, split in dataset.splits.items():
        is_known = mapping[split.labels] >= 0
        if not is_known.all():
            left_out[name] = np.flatnonzero(~is_known)
            _tell_left_out(dataset, name, left_out[name], class_names)
            split = split.take(np.flatnonzero(is_known))
        splits[name] = replace(split, labels=mapping[split.labels])
    return replace(dataset, class_names=tuple(class_names), splits=splits, left_out=left_out)


def differing_names(were: Sequence[str] | None, are: Sequence[str] | None) -> str:
    """How the names of classes differ from what they were, in words; empty where they do not. None is no names."""
    if were is None:
        return "" if are is None else "they had no names"
    if are is None:
        return f"they were called {list_names(were)}"
    if [*map(_composed, were)] == [*map(_composed, are)]:
        return ""
    gone, new = [name for name in were if name not in are], [name for name in are if name not in were]
    if not gone and not new:
        return f"in this order: {list_names(were)}; now: {list_names(are)}"
    parts = {"gone": gone, "new": new}
    return "; ".join(f"{what}: {list_names(names)}" for what, names in parts.items() if names)


def tell_lookalikes(dataset: Dataset) -> None:
    """Warn of classes whose names are nearly one, see `lookalikes`: they may be meant so."""
    for names in lookalikes(dataset.class_names):
        shown = ", ".join(ascii(name) for name in names)
        logger.warning("%s: has several classes of nearly the same name: %s", dataset.name, shown)


def lookalikes(names: Iterable[str]) -> list[list[str]]:
    """Those of different names that are one but for case, blanks, Unicode form or leading zeros, together."""
    alike: dict[str, list[str]] = {}
    for name in names:
        plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        alike.setdefault(str(int(plain)) if plain.isdecimal() else plain, []).append(name)
    return [together for together in alike.values() if len(together) > 1]


def list_names(names: Sequence[str]) -> str:
    """Names in a line, the first of many."""
    return first_few(names, SHOWN)


def _first_positions(names: Iterable[str]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        positions.setdefault(name, position)
    return positions


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _tell_left_out(dataset: Dataset, split: str, left_out: np.ndarray, class_names: Sequence[str]) -> None:
    counts = np.bincount(dataset.splits[split].labels[left_out], minlength=len(dataset.class_names))
    unknown = list_names([f"{dataset.class_names[label]} ({counts[label]:,})" for label in np.flatnonzero(counts)])
    if len(left_out) == len(dataset.splits[split]):
        raise UserError(
            f"{dataset.name}: the model knows none of the classes of split {split}: {unknown}; "
            f"it knows {list_names(class_names)}"
        )
    logger.warning(
        "%s: %s of the %s images of split %s are left out, of classes that the model does not know: %s",
        dataset.name, f"{len(left_out):,}", f"{len(dataset.splits[split]):,}", split, unknown,
    )  # fmt: skip


def _by_position(dataset: Dataset, class_names: tuple[str, ...]) -> Dataset:
    largest = max(int(split.labels.max()) for split in dataset.splits.values())
    if largest >= len(class_names):
        raise UserError(
            f"{dataset.name}: has the label {largest} and no class names; the model's {len(class_names)} classes are "
            f"{list_names(class_names)}"
        )
    meant = list_names([f"{index} is {name}" for index, name in enumerate(class_names)])
    logger.warning("%s: has no class names, so labels count the model's classes: %s", dataset.name, meant)
    return replace(dataset, class_names=class_names)
