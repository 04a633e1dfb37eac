"""Fixtures for the tests of models."""

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Each test starts from seed 0."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
