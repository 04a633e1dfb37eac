"""The benchmark of training speed runs, each implementation in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "throughput.py"


@pytest.mark.slow
def test_each_implementation_is_timed_beside_cnnlab(cnnlab_data):
    command = [sys.executable, str(SCRIPT), "--precision", "float32", "--rounds", "1", "--steps", "1"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("cnnlab", "keras", "keras-jit", "matmul"):
        assert f"\n{name:9}  median " in table
