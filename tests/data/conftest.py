"""Loading datasets as the command line does, and small files in the published formats."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.dataset import Dataset
from cnnlab.data.load import load_dataset


@pytest.fixture
def load(dataset_config) -> Callable[..., Dataset]:
    """load("mnist", split_seed=0, validation="none") composes conf/dataset/mnist.yaml and reads the dataset."""

    def load(name: str, *, split_seed: int = 0, **overrides: Any) -> Dataset:
        if "root" in overrides:
            overrides["root"] = str(overrides["root"])
        return load_dataset(dataset_config(name, **overrides), split_seed)

    return load


@pytest.fixture
def write_idx() -> Callable[[Path, np.ndarray], None]:
    """Writes a uint8 array as an idx file, gzipped where the name ends in .gz."""

    def write(path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)

    return write


@pytest.fixture
def write_cifar() -> Callable[..., None]:
    """Writes a batch as the published files hold it: images (N, 32, 32, 3), labels under `key`."""

    def write(path: Path, images: np.ndarray, labels: list[int], key: str = "labels") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
        path.write_bytes(pickle.dumps({b"data": rows, key.encode(): labels}, protocol=2))

    return write


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Writes uint8 pixels (H, W) or (H, W, 3) in the format that the name's suffix tells; returns the path."""

    def write(path: Path, pixels: np.ndarray, **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write
