"""What every reader returns: uint8 images or image files, integer labels, and the names of the classes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ImageFiles:
    """Images that stay on disk and are decoded, in parallel, when a batch needs them.

    Attributes:
        paths: (N,) array of absolute file names (numpy str).
        image_shape: (height, width, channels) every image is resized to; channels is 1 or 3.
    """

    paths: np.ndarray
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Split:
    """Labelled images.

    Attributes:
        images: uint8 array of shape (N, H, W, C), or the files to decode.
        labels: (N,) int32 class indices.
    """

    images: np.ndarray | ImageFiles
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A dataset with explicit splits.

    Attributes:
        name: the dataset's name, for titles.
        image_shape: (height, width, channels) of every image.
        class_names: one name per class, in label order.
        splits: "train" always; "validation" and "test" where the dataset has them.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: dict[str, Split]
