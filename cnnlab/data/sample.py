"""A few examples of a split."""

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.data.decode import load_images


def sample(split: Split, count: int, seed: int) -> Split:
    """Draw examples without replacement, in the split's order, and decode their images.

    Args:
        split: arrays or image files.
        count: how many; of a smaller split, all are taken.
        seed: repeats the draw; not negative.

    Returns:
        At most `count` examples, their images a uint8 array (n, H, W, C).

    Raises:
        UserError: an image file cannot be decoded; it is named.
    """
    chosen = np.random.default_rng(seed).choice(len(split), min(count, len(split)), replace=False)
    drawn = split.take(np.sort(chosen))
    return drawn if isinstance(drawn.images, np.ndarray) else Split(load_images(drawn.images), drawn.labels)
