"""Fixtures for the tests of models."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """Each test starts from seed 0 in float32 and leaves no precision behind."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
