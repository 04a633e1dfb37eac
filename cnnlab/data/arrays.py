"""A NumPy archive (.npz) with the key names of Keras's own: x_train, y_train, x_test, y_test."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.checks import checked_split
from cnnlab.data.classes import numbered_classes
from cnnlab.data.dataset import PublishedDataset, Split
from cnnlab.data.locate import existing_root
from cnnlab.errors import UserError

SUFFIXES = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


def arrays(
    *, root: str | None = None, num_classes: int | None = None, class_names: list[str] | None = None
) -> PublishedDataset:
    """Images and labels from one .npz file.

    The file holds x_SPLIT, uint8 of shape (N, H, W) or (N, H, W, 1 or 3), and y_SPLIT, integers of shape (N,)
    or (N, 1), for SPLIT train and, as it likes, validation (or val) and test; and, as it likes, class_names.

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
    published = read_arrays(path, num_classes, class_names)
    if "train" not in published.splits:
        found = ", ".join(f"x_{split}" for split in published.splits)
        raise UserError(f"{path}: x_train is missing; found {found or 'nothing'}")
    return published


def read_arrays(path: Path, num_classes: int, class_names: Sequence[str] | None = None) -> PublishedDataset:
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
        class_names = [str(name) for name in content["class_names"]]
    names = numbered_classes(num_classes or _highest(content) + 1) if class_names is None else tuple(class_names)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two classes are called {twice}; give each a name of its own")
    splits = {}
    for split, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            if f"x_{suffix}" in content:
                splits[split] = _read_split(content, suffix, len(names), path)
    return PublishedDataset(names, splits, named=class_names is not None)


def _highest(content: dict[str, np.ndarray]) -> int:
    """The highest label of all splits; -1 where there is none."""
    labels = (content[key] for key in content if key.startswith("y_"))
    return max((int(array.max()) for array in labels if array.size and array.dtype.kind in "iu"), default=-1)


def _read_split(content: dict[str, np.ndarray], suffix: str, num_classes: int, path: Path) -> Split:
    images, labels = content[f"x_{suffix}"], content.get(f"y_{suffix}")
    if labels is None:
        raise UserError(f"{path}: x_{suffix} has no labels y_{suffix}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    return checked_split(images, labels, num_classes, f"{path}: x_{suffix}, y_{suffix}")
