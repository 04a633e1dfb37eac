"""Whether a split is made of the same images as before: a short digest of which they are, in their order."""

import hashlib
import os

import numpy as np

from cnnlab.data.dataset import Dataset, ImageFiles, Split

DIGEST_BYTES = 8
SAMPLED = 1000


def fingerprints(dataset: Dataset) -> dict[str, str]:
    """A digest of each split that changes when images are added, removed, renamed or drawn in another way.

    Of files it tells their names below the folder that holds them all, so that a dataset may move, and their
    classes; of arrays their labels and up to a thousand images, evenly spread. The content of files is not looked at.

    Returns:
        16 hexadecimal digits per split.
    """
    return {name: _digest(split, dataset.class_names) for name, split in dataset.splits.items()}


def _digest(split: Split, class_names: tuple[str, ...]) -> str:
    digest = hashlib.blake2b(split.labels.tobytes(), digest_size=DIGEST_BYTES)
    if isinstance(split.images, ImageFiles):
        paths = split.images.paths.tolist()
        above = os.path.commonpath(paths)
        for path, label in zip(paths, split.labels.tolist(), strict=True):
            below = path[len(above) :].lstrip(os.sep) or os.curdir
            digest.update(os.fsencode(f"{class_names[label]}\0{below}\0"))
    else:
        for row in np.unique(np.linspace(0, len(split) - 1, min(SAMPLED, len(split)), dtype=np.int64)):
            digest.update(split.images[row].tobytes())
    return digest.hexdigest()
