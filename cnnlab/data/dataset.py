"""What a dataset is made of: uint8 images or image files, integer labels, and the names of the classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

ImageShape = tuple[int, int, int]
"""(height, width, channels); channels is 1 or 3."""

Validation = Literal["none", "published"] | float
"""Where a validation split comes from: there is none, the dataset has its own, or the share that is held out."""

Skipped = Mapping[str, Mapping[str, str]]
"""What a reader has left out: by split, the paths with the reasons."""


Resize = Literal["squash", "crop", "pad"]
"""How an image of another aspect ratio fills its shape: stretched; cut off, its middle stays; or whole, with black
margins. (Keras has the last two as `crop_to_aspect_ratio` and `pad_to_aspect_ratio`.)"""


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay on disk and are decoded, in parallel, when a batch needs them.

    Attributes:
        paths: (N,) array of absolute file names (numpy str).
        sources: (N,) array of the files to decode, JPEG or PNG: the same, or what they were converted to.
        orientations: (N,) uint8 array, how the stored pixels are turned, 1 to 8, as EXIF counts.
        image_shape: (height, width, channels) every image is brought to; channels is 1 or 3.
        resize: how.
    """

    paths: np.ndarray
    sources: np.ndarray
    orientations: np.ndarray
    image_shape: ImageShape
    resize: Resize = "squash"

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: np.ndarray) -> "ImageFiles":
        """The files at `indices`, in that order."""
        return replace(
            self,
            paths=self.paths[indices],
            sources=self.sources[indices],
            orientations=self.orientations[indices],
        )

    def join(self, other: "ImageFiles") -> "ImageFiles":
        """These files, then those of `other`, which are brought to the same shape in the same way."""
        return replace(
            self,
            paths=np.concatenate([self.paths, other.paths]),
            sources=np.concatenate([self.sources, other.sources]),
            orientations=np.concatenate([self.orientations, other.orientations]),
        )


@dataclass(frozen=True)
class Split:
    """Labelled images.

    Attributes:
        images: uint8 array of shape (N, H, W, C), or the files to decode.
        labels: (N,) int32 class indices.
        groups: (N,) array of names (numpy str): images of one group are of one patient, scene, …, so that they must
            not be in two splits; None where nothing is known of any.
        weights: (N,) float32, at least 0: how much each image counts in the training loss; None for all alike.
    """

    images: np.ndarray | ImageFiles
    labels: np.ndarray
    groups: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> "Split":
        """The examples at `indices`, in that order."""
        return Split(
            _take(self.images, indices),
            self.labels[indices],
            None if self.groups is None else self.groups[indices],
            None if self.weights is None else self.weights[indices],
        )

    def join(self, other: "Split") -> "Split":
        """These examples, then those of `other`, of the same reader: what one of them holds, both do."""
        return Split(
            _join(self.images, other.images),
            np.concatenate([self.labels, other.labels]),
            None if self.groups is None or other.groups is None else np.concatenate([self.groups, other.groups]),
            None if self.weights is None or other.weights is None else np.concatenate([self.weights, other.weights]),
        )


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
    """

    class_names: tuple[str, ...]
    splits: dict[str, Split]
    skipped: Skipped = field(default_factory=dict)
    named: bool = True


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
    """

    name: str
    image_shape: ImageShape
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    validation: Validation | Literal["auto"] = "published"
    skipped: Skipped = field(default_factory=dict)
    named: bool = True
    left_out: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def own_names(self) -> tuple[str, ...] | None:
        """The class names; None where the classes have none."""
        return self.class_names if self.named else None


def _take(images: np.ndarray | ImageFiles, indices: np.ndarray) -> np.ndarray | ImageFiles:
    if isinstance(images, ImageFiles):
        return images.take(indices)
    return images[indices]


def _join(first: np.ndarray | ImageFiles, second: np.ndarray | ImageFiles) -> np.ndarray | ImageFiles:
    if isinstance(first, ImageFiles) and isinstance(second, ImageFiles):
        return first.join(second)
    return np.concatenate([first, second])
