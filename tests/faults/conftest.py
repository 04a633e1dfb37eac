"""Small data to damage, and what the readers say of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.dataset import Dataset
from cnnlab.data.load import load_dataset
from cnnlab.errors import UserError


@pytest.fixture
def load(dataset_config) -> Callable[..., Dataset]:
    """`load(name, root, **overrides)` reads a dataset of conf/dataset."""

    def load(name: str, root: Path, **overrides: Any) -> Dataset:
        return load_dataset(dataset_config(name, root=str(root), **overrides), split_seed=0)

    return load


@pytest.fixture
def refusal(load) -> Callable[..., str]:
    """`refusal(name, root, **overrides)`: the one line with which the dataset is refused."""

    def refusal(name: str, root: Path, **overrides: Any) -> str:
        with pytest.raises(UserError) as caught:
            load(name, root, **overrides)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return refusal


@pytest.fixture
def truncate() -> Callable[[Path, float], None]:
    """`truncate(path, kept)` keeps that share of a file."""

    def truncate(path: Path, kept: float) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content))])

    return truncate


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("train/cat/1.png", "train/dog/1.jpg", "validation/cat/1.gif", "validation/dog/1.bmp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x_train=np.zeros((20, 28, 28), np.uint8), y_train=np.arange(20) % 10)
    return path
