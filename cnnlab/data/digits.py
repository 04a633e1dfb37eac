"""scikit-learn's handwritten digits: 1,797 grey images of 8×8 pixels, part of the package, no download."""

import numpy as np

from cnnlab.data.checks import checked_split
from cnnlab.data.dataset import PublishedDataset

MAXIMUM = 16  # the brightest pixel of scikit-learn's images


def digits() -> PublishedDataset:
    """All digits as one split "train" of shape (1797, 8, 8, 1), pixels stretched from 0..16 to 0..255.

    Source: the test set of the UCI ML hand-written digits, `sklearn.datasets.load_digits`.
    """
    from sklearn.datasets import load_digits  # slow to import

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / MAXIMUM)).astype(np.uint8)[..., np.newaxis]
    names = tuple(str(digit) for digit in range(10))
    return PublishedDataset(names, {"train": checked_split(images, bunch.target, 10, "digits")})
