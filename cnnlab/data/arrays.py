"""A NumPy archive (.npz) with the key names of Keras's own: x_train, y_train, x_test, y_test."""

import logging
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.checks import checked_split
from cnnlab.data.classes import numbered_classes
from cnnlab.data.dataset import PublishedDataset, Split
from cnnlab.data.locate import existing_root
from cnnlab.data.split_folders import ALIASES, SPLIT_OF
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

DARK = 32
"""Images without a pixel as bright as this, of 255, are told: they are likely to have another range."""


def arrays(
    *, root: str | None = None, num_classes: int | None = None, class_names: list[str] | None = None
) -> PublishedDataset:
    """Images and labels from one .npz file.

    The file holds x_SPLIT, uint8 of shape (N, H, W) or (N, H, W, 1 or 3), and y_SPLIT, integers of shape (N,)
    or (N, 1), for SPLIT train and, optionally, validation and test, or the other names that the folders of these
    splits may have (`ALIASES`), in upper or lower case; and, optionally, class_names. Further arrays are told and not
    used.

    Args:
        root: the file.
        num_classes: how many classes there are where no names say it; None: as many as the labels need.
        class_names: one per class, instead of the file's; without either, classes are called 0, 1, ….

    Raises:
        UserError: the file is missing, damaged, holds pickled objects, or its arrays are not as above.
    """
    if root is None:
        raise UserError("dataset.root is null: set it to the .npz file (x_train, y_train, x_test, y_test)")
    path = existing_root(root)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, no .npz file; class folders: dataset=image_folder")
    published = read_arrays(path, num_classes, class_names)
    if "train" not in published.splits:
        found = ", ".join(f"x_{split}" for split in published.splits)
        raise UserError(f"{path}: x_train is missing; found {found}")
    return published


def read_arrays(path: Path, num_classes: int | None, class_names: Sequence[str] | None = None) -> PublishedDataset:
    """The splits that an .npz file holds, whichever they are.

    Args:
        path: the file.
        num_classes, class_names: as of `arrays`.

    Raises:
        UserError: the file is damaged, holds pickled objects, names a class twice, or its arrays are not as `arrays`
            says.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except (ValueError, AttributeError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: is damaged or no .npz of plain arrays (x_train, y_train, …)") from error
    if class_names is None and "class_names" in content:
        stored = content["class_names"].tolist()
        class_names = [
            name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name) for name in stored
        ]
    keys = _find_splits(content, path)
    labels = [content[key] for _, key in keys.values()]
    names = numbered_classes(num_classes or _highest(labels) + 1) if class_names is None else tuple(class_names)
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two classes are called {twice}; give each a name of its own")
    splits = {split: _read_split(content, *pair, len(names), path) for split, pair in keys.items()}
    if class_names is None:
        _tell_odd_labels(splits, path)
    return PublishedDataset(names, splits, named=class_names is not None)


def _find_splits(content: Mapping[str, np.ndarray], path: Path) -> dict[str, tuple[str, str]]:
    """The keys of the images and labels of each split; what is renamed or not used is told."""
    keys: dict[str, tuple[str, str]] = {}
    for key in content:
        axis, _, suffix = key.partition("_")
        split = SPLIT_OF.get(suffix.lower())
        if axis.lower() != "x" or split is None:
            continue
        if split in keys:
            raise UserError(f"{path}: {keys[split][0]} and {key} stand for one split, {split}; keep one of them")
        labels = next((other for other in content if other.lower() == f"y_{suffix}".lower()), None)
        if labels is None:
            raise UserError(f"{path}: {key} has no labels y_{suffix}")
        keys[split] = key, labels
        if suffix != split:
            log.info("%s: %s is used as %s", path.name, key, split)
    unused = sorted(content.keys() - {key for pair in keys.values() for key in pair} - {"class_names"})
    if not keys:
        raise UserError(f"{path}: holds {', '.join(unused) or 'nothing'}; expected x_train, y_train, x_test, y_test, …")
    if unused:
        log.warning("%s: %s: not used; expected x_SPLIT and y_SPLIT", path.name, ", ".join(unused))
    return {split: keys[split] for split in ALIASES if split in keys}


def _tell_odd_labels(splits: Mapping[str, Split], path: Path) -> None:
    """Labels that count from 1, or that leave most numbers out, would make classes that no image has."""
    first = {split: int(part.labels.min()) for split, part in splits.items()}
    if first.get("train", 0) > 0:
        log.warning(
            "%s: the smallest label of y_train is %s, so no image is of class 0; if labels count from 1, subtract 1",
            path.name, first["train"],
        )  # fmt: skip
    used = len(np.unique(splits["train"].labels)) if "train" in splits else 0
    highest = _highest(part.labels for part in splits.values())
    if used and highest + 1 > 2 * used:
        log.warning(
            "%s: the largest label is %s, but y_train holds %s different ones; a network has an output for each number "
            "from 0 on, so number the classes 0, 1, …",
            path.name, f"{highest:,}", f"{used:,}",
        )  # fmt: skip


def _highest(labels: Iterable[np.ndarray]) -> int:
    """The highest label of all splits; -1 where there is none."""
    return max((int(array.max()) for array in labels if array.size and array.dtype.kind in "iu"), default=-1)


def _read_split(content: Mapping[str, np.ndarray], x: str, y: str, num_classes: int, path: Path) -> Split:
    images, labels = content[x], content[y]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    split = checked_split(images, labels, num_classes, f"{path}: {x}, {y}")
    if (brightest := images.max()) < DARK:
        log.warning(
            "%s: the largest pixel of %s is %s of 255; where white is %s, multiply", path.name, x, brightest, brightest
        )
    return split
