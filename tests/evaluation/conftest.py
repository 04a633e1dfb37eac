"""A real run to evaluate, and images on disk."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def run(train) -> Path:
    """A finished run on digits that still makes mistakes; tests may add evaluations to it."""
    return train("trainer.epochs=2")


@pytest.fixture(scope="session")
def model(run) -> keras.Model:
    """The best model of `run`: uint8 (n, 8, 8, 1) in, probabilities (n, 10) out."""
    return keras.models.load_model(run / "model.keras")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def save_image(tmp_path) -> Callable[..., Path]:
    """`save_image(name, pixels)` writes uint8 pixels (h, w, 1 or 3) below `tmp_path` and returns the file."""

    def save(name: str, pixels: np.ndarray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(path)
        return path

    return save
