"""Fixtures of the instruments' tests."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def run(small_run, tmp_path) -> Path:
    """A copy of the small run, to draw into."""
    return shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("visualize"))
