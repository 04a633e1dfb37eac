"""Images that are in two splits at once, byte for byte: results on them say little about other images."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, compress
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import SPLITS, Dataset, ImageFiles

log = logging.getLogger(__name__)

_END = 1024  # bytes; of a compressed image they differ from those of nearly all others
_THREADS = 16  # opening files is waiting, above all on network drives
_FILES_PER_TASK = 64


def shared_images(dataset: Dataset) -> dict[tuple[str, str], np.ndarray]:
    """The images of a split that another split has too; records are not looked at, for all would have to be read.

    Files are the same where their bytes are, which are read in full only of those of equal length and end.

    Returns:
        For each pair of splits that share any, in the order train, validation, test: the positions in the second.
    """
    images = dataset.splits["train"].images
    if len(dataset.splits) == 1 or (isinstance(images, ImageFiles) and images.read is not None):
        return {}
    found = {name: np.arange(len(split)) for name, split in dataset.splits.items()}
    keys: dict[str, list[Hashable]] = {}
    for key in (_size, _end, _content):
        keys = {name: _keys(dataset, name, positions, key) for name, positions in found.items()}
        times = Counter(value for values in keys.values() for value in set(values))
        kept = {name: np.array([times[value] > 1 for value in values], bool) for name, values in keys.items()}
        found = {name: positions[kept[name]] for name, positions in found.items()}
        keys = {name: list(compress(values, kept[name])) for name, values in keys.items()}
    shared: dict[tuple[str, str], np.ndarray] = {}
    order = [name for name in SPLITS if name in found]
    for first, second in combinations(order, 2):
        there = set(keys[first])
        both = [position for position, value in zip(found[second], keys[second], strict=True) if value in there]
        if both:
            shared[first, second] = np.array(both)
    return shared


def tell_shared(dataset: Dataset) -> None:
    """Warn of images that are in two splits, a line per pair of splits."""
    for (first, second), positions in shared_images(dataset).items():
        images = dataset.splits[second].images
        example = f", such as {images.paths[positions[0]]}" if isinstance(images, ImageFiles) else ""
        log.warning(
            "%s: %s of the %s images of split %s are in split %s too%s; results on them say little about other images",
            dataset.name, f"{len(positions):,}", f"{len(images):,}", second, first, example,
        )  # fmt: skip


def _keys(
    dataset: Dataset, split: str, positions: np.ndarray, key: Callable[[np.ndarray | str], Hashable]
) -> list[Hashable]:
    """What `key` says of images: it is given the paths of files, or the pixels."""
    images = dataset.splits[split].images
    if isinstance(images, ImageFiles):
        paths = images.paths[positions].tolist()
        parts = [paths[start : start + _FILES_PER_TASK] for start in range(0, len(paths), _FILES_PER_TASK)]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(chain.from_iterable(pool.map(lambda part: [key(path) for path in part], parts)))
    return [key(images[position]) for position in positions]


def _size(image: np.ndarray | str) -> int:
    return os.stat(image).st_size if isinstance(image, str) else image.nbytes  # noqa: PTH116, for each of all files


def _end(image: np.ndarray | str) -> bytes:
    if isinstance(image, np.ndarray):
        return image.ravel()[-_END:].tobytes()
    with Path(image).open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _END))
        return file.read()


def _content(image: np.ndarray | str) -> bytes:
    content = image.tobytes() if isinstance(image, np.ndarray) else Path(image).read_bytes()
    return hashlib.blake2b(content, digest_size=16).digest()
