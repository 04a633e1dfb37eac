"""What every reader makes sure of before its arrays become a split."""

from collections import Counter

import numpy as np

from cnnlab.data.dataset import SPLITS, ImageFiles, ImageShape, PublishedDataset, Split
from cnnlab.errors import UserError


def check_published(published: object, image_shape: ImageShape, source: str) -> None:
    """Check what a reader has returned, which may be one of the user's own.

    Args:
        published: what it returned.
        image_shape: (height, width, channels) to which image files are to be brought; arrays may have any size.
        source: the reader, for the message.

    Raises:
        UserError: it is not as `PublishedDataset` and `Split` say; the message names the split.
    """
    if not isinstance(published, PublishedDataset):
        raise UserError(
            f"{source}: returns {type(published).__name__}, not a cnnlab.data.dataset.PublishedDataset "
            "of class names and splits"
        )
    names = published.class_names
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"{source}: class_names are {str(names)[:60]}; expected a tuple of texts, one per class")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:  # an evaluation finds the classes of images by their names
        raise UserError(f"{source}: two classes are called {twice}; give each a name of its own")
    for name in published.splits:
        if name not in SPLITS:
            raise UserError(f"{source}: {name} is no split; splits: {', '.join(SPLITS)}")
    if "train" not in published.splits:
        raise UserError(f"{source}: returns no split train, but {', '.join(published.splits) or 'none'}")
    for name, split in published.splits.items():
        _check_split(split, len(names), image_shape, f"{source}, {name}")


def _check_split(split: Split, num_classes: int, image_shape: ImageShape, source: str) -> None:
    if not isinstance(split, Split):
        raise UserError(f"{source}: is {type(split).__name__}, not a cnnlab.data.dataset.Split of images and labels")
    for what in ("images", "labels"):
        value = getattr(split, what)
        if not isinstance(value, np.ndarray) and not (what == "images" and isinstance(value, ImageFiles)):
            raise UserError(f"{source}: {what} are {type(value).__name__}; expected a NumPy array")
    if isinstance(split.images, np.ndarray):
        check_pixels(split.images, source)
    elif tuple(split.images.image_shape) != image_shape:
        raise UserError(
            f"{source}: files are brought to {[*split.images.image_shape]}, not to dataset.image_shape={[*image_shape]}"
        )
    check_labels(split.labels, len(split.images), num_classes, source)
    for name, column in split.columns().items():
        if len(column) != len(split):
            raise UserError(f"{source}: {len(split)} images, but {len(column)} {name}")


def checked_split(images: np.ndarray, labels: np.ndarray, num_classes: int, source: str) -> Split:
    """A split from what a file holds.

    Args:
        images: uint8 array of shape (N, H, W, C) with C 1 or 3.
        labels: N integers of shape (N,), each in 0 … num_classes-1.
        num_classes: how many classes there are.
        source: the file, for the message.

    Raises:
        UserError: the arrays are not like that; the message names `source` and the first bad label.
    """
    check_pixels(images, source)
    check_labels(labels, len(images), num_classes, source)
    return Split(images, labels.astype(np.int32))


def check_labels(labels: np.ndarray, count: int, num_classes: int, source: str) -> None:
    """Check that an array holds `count` labels: integers of shape (count,), each in 0 … num_classes-1.

    Raises:
        UserError: it does not; the message begins with `source` and names the first bad label.
    """
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(
            f"{source}: labels are {labels.dtype} of shape {labels.shape}; "
            f"expected integers of shape (N,){_label_hint(labels)}"
        )
    if count != len(labels):
        raise UserError(f"{source}: {count} images, but {len(labels)} labels")
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(bad):
        raise UserError(
            f"{source}: label {labels[bad[0]]} of example {bad[0]} is not in 0..{num_classes - 1} "
            f"({len(bad)} such labels)"
        )


def check_pixels(images: np.ndarray, source: str) -> None:
    """Check that an array holds images: uint8 of shape (N, H, W, C) with C 1 or 3, N at least 1.

    Raises:
        UserError: it does not; the message begins with `source`.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UserError(
            f"{source}: images are {images.dtype} of shape {images.shape}; "
            f"expected uint8 (0..255) of shape (N, height, width, 1 or 3){_image_hint(images)}"
        )
    if not len(images):
        raise UserError(f"{source}: holds no images")


def _image_hint(images: np.ndarray) -> str:
    """How to store such images as they are expected; empty where that is not plain."""
    if images.ndim == 3 and images.dtype == np.uint8 and images.shape[-1] not in (1, 3):
        colour = "; of one colour image: np.moveaxis(x, 0, -1)[np.newaxis]" if images.shape[0] == 3 else ""
        return f"; of grey images: x[..., np.newaxis]{colour}"
    if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        return "; channels come last: np.moveaxis(x, 1, -1)"
    if images.ndim == 4 and images.shape[-1] == 4:
        return "; drop the alpha channel: x[..., :3]"
    if images.dtype == np.bool_:
        return '; use x.astype("uint8") * 255'
    if images.dtype.kind == "f" and images.size and images.min() >= 0 and images.max() <= 255:
        return f'; use ({"x * 255" if images.max() <= 1 else "x"}).round().astype("uint8")'
    return ""


def _label_hint(labels: np.ndarray) -> str:
    """How to store such labels as they are expected; empty where that is not plain."""
    if labels.ndim == 2 and labels.dtype.kind in "iufb":
        return "; of one-hot labels: y.argmax(1)"
    if labels.ndim == 1 and labels.dtype.kind in "US":
        return "; of names: class_names, y = np.unique(y, return_inverse=True)"
    if labels.ndim == 1 and labels.dtype.kind in "fb":
        return '; use y.astype("int64")'
    return ""
