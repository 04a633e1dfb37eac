"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def cnnlab_data() -> Path:
    """The folder that holds the real datasets; the test is skipped where there is none."""
    root = os.environ.get("CNNLAB_DATA")
    if not root:
        pytest.skip("CNNLAB_DATA is not set: no real MNIST, CIFAR-10 or cats and dogs at hand")
    return Path(root)
