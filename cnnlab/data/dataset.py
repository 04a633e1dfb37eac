"""What a dataset is made of: uint8 images or image files, integer labels, and the names of the classes."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

ImageShape = tuple[int, int, int]
"""(height, width, channels); channels is 1 or 3."""

SPLITS = ("train", "validation", "test")
"""All splits that there may be, in the order in which they are listed."""

Validation = Literal["none", "published"] | float
"""Where a validation split comes from: there is none, the dataset has its own, or the share that is held out."""

Skipped = Mapping[str, Mapping[str, str]]
"""What a reader has left out: by split, the paths with the reasons."""


Resize = Literal["squash", "crop", "pad"]
"""How an image of another aspect ratio fills its shape: stretched; cut off, its middle stays; or whole, with black
margins. (Keras has the last two as `crop_to_aspect_ratio` and `pad_to_aspect_ratio`.)"""


def stored_shape(image_shape: ImageShape, resize_size: int | None) -> ImageShape:
    """The shape of the stored images, in whose middle `image_shape` lies."""
    return image_shape if resize_size is None else (resize_size, resize_size, image_shape[2])


def middle(shape: Sequence[int], image_shape: ImageShape) -> tuple[slice, slice]:
    """The rows and columns in the middle of a shape that have `image_shape`; an odd one stays below or right."""
    top, left = ((whole - part) // 2 for whole, part in zip(shape[:2], image_shape[:2], strict=True))
    return slice(top, top + image_shape[0]), slice(left, left + image_shape[1])


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay on disk and are decoded, in parallel, when a batch needs them.

    Attributes:
        paths: (N,) array of absolute file names, objects of type str.
        sources: (N,) array of the files to decode, JPEG or PNG, likewise: the same, or what they were converted to.
        sizes: (N, 2) int32 array, height and width of the stored pixels.
        orientations: (N,) uint8 array, how the stored pixels are turned, 1 to 8, as EXIF counts.
        jpegs: (N,) bool array, which of the sources are JPEG.
        image_shape: (height, width, channels) every image is brought to; channels is 1 or 3.
        resize: how.
        resize_size: the side of the square that images are brought to first, and whose middle has `image_shape`; None
            where they are brought to `image_shape` itself.
        read: from sources to their content, where they are no names of files.
    """

    paths: np.ndarray
    sources: np.ndarray
    sizes: np.ndarray
    orientations: np.ndarray
    jpegs: np.ndarray
    image_shape: ImageShape
    resize: Resize = "squash"
    resize_size: int | None = None
    read: Callable[[Sequence[str]], list[bytes]] | None = None

    @property
    def stored(self) -> "ImageFiles":
        """The same files as the whole squares of `resize_size`; these themselves where there are none."""
        if self.resize_size is None:
            return self
        return self.shaped(stored_shape(self.image_shape, self.resize_size))

    def shaped(self, image_shape: ImageShape) -> "ImageFiles":
        """The same files, brought to another shape at once."""
        return replace(self, image_shape=image_shape, resize_size=None)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> "ImageFiles":
        """The files at `indices`, in that order."""
        return replace(self, **{name: column[indices] for name, column in self.columns().items()})

    def join(self, other: "ImageFiles") -> "ImageFiles":
        """These files, then those of `other`, which are brought to the same shape in the same way."""
        theirs = other.columns()
        columns: dict[str, Any] = {name: np.concatenate([ours, theirs[name]]) for name, ours in self.columns().items()}
        return replace(self, **columns)

    def columns(self) -> dict[str, Any]:
        """The arrays that have a value for each file."""
        return {
            "paths": self.paths,
            "sources": self.sources,
            "sizes": self.sizes,
            "orientations": self.orientations,
            "jpegs": self.jpegs,
        }


@dataclass(frozen=True)
class Split:
    """Labelled images.

    Attributes:
        images: uint8 array of shape (N, H, W, C), or the files to decode.
        labels: (N,) int32 class indices.
        squares: uint8 array (N, S, S, C), the stored squares of whose middle `images` is an array; None where images
            are stored as they are shown. Files know theirs.
        groups: (N,) array of names (numpy str): images of one group are of one patient, scene, …, so that they must
            not be in two splits; None where nothing is known of any.
        weights: (N,) float32, at least 0: how much each image counts in the training loss; None for all alike.
    """

    images: np.ndarray | ImageFiles
    labels: np.ndarray
    squares: np.ndarray | None = field(default=None, kw_only=True)
    groups: np.ndarray | None = field(default=None, kw_only=True)
    weights: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def image_shape(self) -> ImageShape:
        """(height, width, channels) of an image."""
        return _shape(self.images)

    @property
    def stored_shape(self) -> ImageShape:
        """The same of what crops are cut out of."""
        return _shape(self.stored)

    @property
    def stored(self) -> np.ndarray | ImageFiles:
        """What crops are cut out of: the stored squares, or where there are none the images themselves."""
        if isinstance(self.images, ImageFiles):
            return self.images.stored
        return self.images if self.squares is None else self.squares

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Split":
        """The examples at `indices`, in that order."""
        columns = {name: value[indices] for name, value in self.columns().items()}
        return replace(self, images=_take(self.images, indices), labels=self.labels[indices], **columns)

    def join(self, other: "Split") -> "Split":
        """These examples, then those of `other`, of the same reader.

        Where one of them alone has weights, the other's are 1; where one alone has groups, each image of the other is
        a group of its own.
        """
        ours, theirs = self._filled(other.columns(), "first"), other._filled(self.columns(), "second")
        columns = {name: np.concatenate([value, theirs[name]]) for name, value in ours.items()}
        images, labels = _join(self.images, other.images), np.concatenate([self.labels, other.labels])
        return replace(self, images=images, labels=labels, **columns)

    def _filled(self, needed: Collection[str], part: str) -> dict[str, np.ndarray]:
        columns = self.columns()
        if "weights" in needed:
            columns.setdefault("weights", np.ones(len(self), np.float32))
        if "groups" in needed:
            columns.setdefault("groups", np.array([f"\0{part} {index}" for index in range(len(self))], dtype=str))
        return columns

    def columns(self) -> dict[str, np.ndarray]:
        """What is known of each image beside its label."""
        columns = {"squares": self.squares, "groups": self.groups, "weights": self.weights}
        return {name: value for name, value in columns.items() if value is not None}


@dataclass(frozen=True)
class DecodedSplit(Split):
    """Labelled images in memory.

    Attributes:
        images: uint8 array of shape (N, H, W, C).
    """

    images: np.ndarray


@dataclass(frozen=True)
class PublishedDataset:
    """What a reader returns: a dataset as its files hold it, before `load_dataset` fits it to the run.

    Attributes:
        class_names: one name per class, in label order.
        splits: "train" always; "validation" and "test" where the files have them.
        skipped: the files that were left out.
        named: whether the classes have names; without, they are called 0, 1, ….
        folder: what holds the files, if any.
    """

    class_names: tuple[str, ...]
    splits: dict[str, Split]
    skipped: Skipped = field(default_factory=dict)
    named: bool = True
    folder: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset with explicit splits, ready for a run.

    Attributes:
        name: the dataset's name, for titles.
        image_shape: (height, width, channels) of every image.
        class_names: one name per class, in label order.
        splits: "train" always; "validation" and "test" where the dataset has them.
        validation: where the validation split comes from; with folds, which it is one of, what was asked for.
        skipped: the files that were left out, by one of the splits.
        named: whether the classes have names; without, they are called 0, 1, ….
        left_out: by split, the positions of images that it had before it was given a model's classes.
        folder: what holds the files, if any.
    """

    name: str
    image_shape: ImageShape
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    validation: Validation | Literal["auto"] = "published"
    skipped: Skipped = field(default_factory=dict)
    named: bool = True
    left_out: Mapping[str, np.ndarray] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def own_names(self) -> tuple[str, ...] | None:
        """The class names; None where the classes have none."""
        return self.class_names if self.named else None


def _shape(images: np.ndarray | ImageFiles) -> ImageShape:
    if isinstance(images, ImageFiles):
        return images.image_shape
    _, height, width, channels = images.shape
    return height, width, channels


def _take(images: np.ndarray | ImageFiles, indices: np.ndarray) -> np.ndarray | ImageFiles:
    if isinstance(images, ImageFiles):
        return images.take(indices)
    return images[indices]


def _join(first: np.ndarray | ImageFiles, second: np.ndarray | ImageFiles) -> np.ndarray | ImageFiles:
    if isinstance(first, ImageFiles) and isinstance(second, ImageFiles):
        return first.join(second)
    return np.concatenate([first, second])
