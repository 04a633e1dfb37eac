"""The shell scripts for servers."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("words", [("train_one_gpu.sh", "0", "seed=1"), ("sweep.sh", "seed=0,1")])
def test_of_several_that_begin_in_the_same_second_each_has_its_own_log(tmp_path, monkeypatch, words):
    for program, line in (("date", "echo 20240101-000000"), ("cnnlab", 'echo "$@"')):
        (tmp_path / program).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    script, *arguments = words
    command = ["bash", str(SCRIPTS / script), *arguments]
    told = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    logs = {line.strip().rpartition("tail -f ")[2] for line in told}
    assert len(logs) == 2
    assert all(log.startswith("outputs/") for log in logs)
