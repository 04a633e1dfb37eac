"""The command that trains a job, and how its process ends."""

import sys
import time

import pytest

from cnnlab.sweeps.process import JobProcess, Outcome, train_arguments
from cnnlab.sweeps.slots import Slot

OVERRIDES = [
    *("model=mynet", "seed=1", "optimizer.learning_rate=0.1", "trainer.epochs=3"),
    *("targets=[cnnlab,keras,mynet]", "dataset.root=/moved", "trainer.devices=cpu", "+logger=tensorboard"),
    "logger.mlflow.uri=http://localhost",
]


def test_a_new_job_is_given_all_its_overrides(tmp_path):
    assert train_arguments(OVERRIDES, tmp_path, ["mine"]) == [
        *("--config-dir", "mine"),
        *OVERRIDES,
        *("hydra.mode=RUN", f"hydra.run.dir={tmp_path}"),
    ]


def test_a_job_that_is_resumed_is_given_what_changes_no_result_and_the_packages_it_may_name(tmp_path):
    (tmp_path / "run.json").touch()
    assert train_arguments(OVERRIDES, tmp_path, []) == [f"resume={tmp_path}", *OVERRIDES[4:]]


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("exit 255", Outcome("failed", "exit code 255; see train.log")),
        ("echo no space left; exit 255", Outcome("failed", "no space left")),
        ("exit 143", Outcome("interrupted", "stopped by SIGTERM")),
        ("kill -40 $$", Outcome("interrupted", "killed by signal 40")),
    ],
)
def test_however_a_job_ends_it_is_told(tmp_path, monkeypatch, ending, outcome):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{ending}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    process = JobProcess(tmp_path / "job", ["seed=0"], Slot("cpu", {}), timeout=None)
    while (ended := process.poll()) is None:
        time.sleep(0.01)
    assert ended == outcome
