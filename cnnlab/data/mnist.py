"""MNIST and Fashion-MNIST: four idx files, gzipped or not.

Format: http://yann.lecun.com/exdb/mnist, "file formats": two zero bytes, the element type (8: unsigned
byte), the number of dimensions, each dimension as a big-endian 32-bit integer, then the elements.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from cnnlab.data.checks import checked_split
from cnnlab.data.dataset import PublishedDataset, Split
from cnnlab.data.download import download
from cnnlab.data.locate import find_published
from cnnlab.errors import UserError

FILES = {"train": "train", "test": "t10k"}  # split: how its files' names begin
UNSIGNED_BYTE = 8
DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def mnist(*, root: str | None = None) -> PublishedDataset:
    """60,000 training and 10,000 test images of handwritten digits, (28, 28, 1).

    Args:
        root: the folder that holds `mnist/` or the idx files themselves; None looks in $CNNLAB_DATA and
            ./data, then downloads through Keras.

    Raises:
        UserError: a file is missing or damaged, or cannot be downloaded.
    """
    return _read(root, "mnist", DIGITS)


def fashion_mnist(*, root: str | None = None) -> PublishedDataset:
    """60,000 training and 10,000 test images of clothes, (28, 28, 1); in the folder `fashion_mnist/`.

    Args and raises: as `mnist`.
    """
    return _read(root, "fashion_mnist", CLOTHES)


def _read(root: str | None, name: str, class_names: tuple[str, ...]) -> PublishedDataset:
    folder = find_published(root, [name], "train-images-idx3-ubyte*")
    if folder is not None:
        splits = {split: _read_split(folder, prefix) for split, prefix in FILES.items()}
        return PublishedDataset(class_names, splits)
    wanted = f"{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte[.gz] in a folder {name}/"
    parts = zip(FILES, download(name, wanted), strict=True)
    return PublishedDataset(
        class_names,
        {split: checked_split(images[..., np.newaxis], labels, 10, name) for split, (images, labels) in parts},
    )


def _read_split(folder: Path, prefix: str) -> Split:
    images = _existing(folder, f"{prefix}-images-idx3-ubyte")
    labels = _existing(folder, f"{prefix}-labels-idx1-ubyte")
    return checked_split(
        read_idx(images, dimensions=3)[..., np.newaxis], read_idx(labels, dimensions=1), 10, str(labels)
    )


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder}: {name} (or {name}.gz) is missing")


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of an idx file; a name that ends in .gz is decompressed.

    Args:
        path: the file.
        dimensions: how many the array must have.

    Raises:
        UserError: the file is no idx file of unsigned bytes with so many dimensions, or is damaged.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: is damaged ({error}); fetch it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, dimensions]) or len(content) < start:
        raise UserError(f"{path}: is no idx file of unsigned bytes with {dimensions} dimensions")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if len(content) - start != math.prod(shape):
        raise UserError(
            f"{path}: is damaged: {len(content) - start} bytes after the header, which announces "
            f"{math.prod(shape)}; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
