"""A few examples of a split."""

import numpy as np

from cnnlab.data.dataset import DecodedSplit, Split
from cnnlab.data.decode import load_images


def draw(split: Split, count: int, seed: int) -> Split:
    """Draw examples without replacement, in the split's order.

    Args:
        split: arrays or image files.
        count: how many; of a smaller split, all are taken.
        seed: repeats the draw; not negative.
    """
    chosen = np.random.default_rng(seed).choice(len(split), min(count, len(split)), replace=False)
    return split.take(np.sort(chosen))


def decoded(split: Split) -> DecodedSplit:
    """The split with its images as a uint8 array (n, H, W, C).

    Raises:
        UserError: an image file cannot be decoded; it is named.
    """
    images = split.images if isinstance(split.images, np.ndarray) else load_images(split.images)
    return DecodedSplit(images, split.labels, **split.columns())


def sample(split: Split, count: int, seed: int) -> DecodedSplit:
    """Draw examples and decode them: `decoded(draw(split, count, seed))`.

    Raises:
        UserError: an image file cannot be decoded; it is named.
    """
    return decoded(draw(split, count, seed))
