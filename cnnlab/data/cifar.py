"""CIFAR-10 and CIFAR-100 in the published Python layout: a folder of pickles, or its tar.gz.

Source: https://www.cs.toronto.edu/~kriz/cifar.html. A batch is a dictionary with `data`, uint8 of shape
(N, 3072) (1,024 red, then green, then blue values in row-major order), and a list of labels.
"""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from cnnlab.data.array_pickle import load_array_pickle
from cnnlab.data.checks import checked_split
from cnnlab.data.dataset import PublishedDataset, Split
from cnnlab.data.download import download
from cnnlab.data.locate import find_published
from cnnlab.errors import UserError

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
CIFAR100_CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
    pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
    seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
    tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman
    worm
    """.split()  # noqa: SIM905 (a hundred quotation marks would not read better)
)
HELD_OUT = 10_000  # the images of data_batch_5


def cifar10(*, root: str | None = None) -> PublishedDataset:
    """Ten classes of (32, 32, 3): data_batch_1 … 4 train (40,000), 5 validation, test_batch test (10,000 each).

    Args:
        root: the folder that holds `cifar-10-batches-py/` or `cifar-10-python.tar.gz`, or the batches
            themselves; None looks in $CNNLAB_DATA and ./data, then downloads through Keras.

    Raises:
        UserError: a file is missing or damaged, holds anything but plain data, or cannot be downloaded.
    """
    source = find_published(root, ["cifar-10-batches-py", "cifar-10-python.tar.gz"], "data_batch_1")
    if source is None:
        train, test = _download("cifar10", "cifar-10-batches-py/ or cifar-10-python.tar.gz", CIFAR10_CLASSES)
        first, held_out = np.split(np.arange(len(train)), [len(train) - HELD_OUT])
        splits = {"train": train.take(first), "validation": train.take(held_out), "test": test}
    else:
        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
        *batches, fifth, test = _read_batches(source, names, "labels", len(CIFAR10_CLASSES))
        splits = {"train": _concatenate(batches), "validation": fifth, "test": test}
    return PublishedDataset(CIFAR10_CLASSES, splits)


def cifar100(*, root: str | None = None) -> PublishedDataset:
    """A hundred (fine) classes of (32, 32, 3): 50,000 training and 10,000 test images.

    Args:
        root: as in `cifar10`, with `cifar-100-python/`, `cifar-100-python.tar.gz` and its files.

    Raises:
        UserError: as `cifar10`.
    """
    source = find_published(root, ["cifar-100-python", "cifar-100-python.tar.gz"], "train")
    if source is None:
        train, test = _download("cifar100", "cifar-100-python/ or cifar-100-python.tar.gz", CIFAR100_CLASSES)
    else:
        train, test = _read_batches(source, ["train", "test"], "fine_labels", len(CIFAR100_CLASSES))
    return PublishedDataset(CIFAR100_CLASSES, {"train": train, "test": test})


def _download(name: str, files: str, class_names: tuple[str, ...]) -> Sequence[Split]:
    return [checked_split(images, labels, len(class_names), name) for images, labels in download(name, files)]


def _concatenate(splits: Sequence[Split]) -> Split:
    images = np.concatenate([split.images for split in splits])
    return Split(images, np.concatenate([split.labels for split in splits]))


def _read_batches(source: Path, names: Sequence[str], label_key: str, num_classes: int) -> list[Split]:
    """The batches called `names`, in that order, from a folder or a tar.gz."""
    batches = {
        name: _read_batch(content, path, label_key, num_classes) for name, path, content in _read_files(source, names)
    }
    for name in names:
        if name not in batches:
            raise UserError(f"{source}: {name} is missing")
    return [batches[name] for name in names]


def _read_files(source: Path, names: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
    """(name, where it is, content) of those `names` that exist."""
    try:
        if source.is_dir():
            for path in (source / name for name in names):
                if path.exists():
                    yield path.name, str(path), path.read_bytes()
        else:
            with tarfile.open(source, "r:gz") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    file = archive.extractfile(member) if name in names else None
                    if file is not None:
                        yield name, f"{source}:{member.name}", file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{source}: cannot be read ({error}); fetch it again") from error


def _read_batch(content: bytes, path: str, label_key: str, num_classes: int) -> Split:
    batch = load_array_pickle(content, path)
    if not isinstance(batch, dict):
        raise UserError(f"{path}: is no CIFAR batch: expected a dictionary of `data` and `{label_key}`")
    # Keys are text in the published files, bytes in files that Python 3 has written again.
    data, labels = (batch.get(key, batch.get(key.encode())) for key in ("data", label_key))
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise UserError(f"{path}: is no CIFAR batch: expected `data`, uint8 of shape (N, 3072)")
    if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        raise UserError(f"{path}: is no CIFAR batch: expected `{label_key}`, a list of integers")
    images = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return checked_split(images, np.array(labels), num_classes, path)
