"""What every reader makes sure of before its arrays become a split."""

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError


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
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UserError(
            f"{source}: images are {images.dtype} of shape {images.shape}; "
            "expected uint8 (0..255) of shape (N, height, width, 1 or 3)"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UserError(f"{source}: labels are {labels.dtype} of shape {labels.shape}; expected integers of shape (N,)")
    if len(images) != len(labels):
        raise UserError(f"{source}: {len(images)} images, but {len(labels)} labels")
    if not len(images):
        raise UserError(f"{source}: holds no images")
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(bad):
        raise UserError(
            f"{source}: label {labels[bad[0]]} of example {bad[0]} is not in 0..{num_classes - 1} "
            f"({len(bad)} such labels)"
        )
    return Split(images, labels.astype(np.int32))
