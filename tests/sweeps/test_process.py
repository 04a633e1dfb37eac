"""The command that trains a job, and how its process ends."""

import signal
import sys
import time
from collections.abc import Callable

import pytest

from cnnlab.sweeps import process
from cnnlab.sweeps.local import Received
from cnnlab.sweeps.process import JobProcess, Outcome, stop_all, train_arguments
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


@pytest.fixture
def start(tmp_path, monkeypatch) -> Callable[..., JobProcess]:
    """`start(script, timeout=None)`: a job that runs a shell script in place of a training, once it has said ready."""

    def start(script: str, timeout: float | None = None) -> JobProcess:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        started = JobProcess(tmp_path / "job", ["seed=0"], Slot("cpu", {}), timeout)
        while "echo ready" in script and "\nready" not in (tmp_path / "job" / "train.log").read_text():
            time.sleep(0.01)
        return started

    return start


def outcome_of(job: JobProcess) -> Outcome:
    while (ended := job.poll()) is None:
        time.sleep(0.01)
    return ended


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("exit 255", Outcome("failed", "exit code 255; see train.log")),
        ("echo no space left; exit 255", Outcome("failed", "no space left")),
        ("exit 143", Outcome("interrupted", "stopped by SIGTERM")),
        ("kill -40 $$", Outcome("interrupted", "killed by signal 40")),
    ],
)
def test_however_a_job_ends_it_is_told(start, ending, outcome):
    assert outcome_of(start(ending)) == outcome


SAVING = "trap 'sleep 0.3; exit 143' TERM; echo ready; while :; do sleep 0.01; done"
HANGING = "trap '' TERM; echo ready; while :; do sleep 0.01; done"


def test_a_job_that_is_stopped_has_as_long_as_it_needs_to_save_its_state(start, monkeypatch, capsys):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.0)
    saving = start(SAVING)
    stop_all([saving], signal.SIGTERM)
    assert outcome_of(saving) == Outcome("interrupted", "stopped by SIGTERM")
    assert capsys.readouterr().err == "SIGTERM: waiting for 1 job to save the state and end; Ctrl-C kills\n"


def test_a_job_that_hangs_is_killed_when_asked_or_some_time_after_it_has_taken_too_long(start, monkeypatch):
    hanging = start(HANGING)
    stop_all([hanging], signal.SIGTERM)
    hanging.kill()
    assert outcome_of(hanging) == Outcome("interrupted", "killed by SIGKILL")
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    reason = outcome_of(start(HANGING, timeout=0.6)).reason
    assert reason == "no end after 0.01 minutes (sweep.job_timeout), nor 0.005 minutes after SIGTERM: killed"


@pytest.mark.parametrize(("first", "urgent"), [(signal.SIGINT, True), (signal.SIGTERM, True), (0, False)])
def test_a_ctrl_c_is_urgent_where_a_signal_has_come_before(first, urgent):
    received = Received()
    for number in filter(None, (first, signal.SIGINT)):
        received.receive(number, None)
    assert received.urgent == urgent
