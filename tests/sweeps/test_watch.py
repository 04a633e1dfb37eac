"""The table of jobs that a person sees while a sweep runs."""

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from cnnlab.sweeps.state import SweepState
from cnnlab.sweeps.watch import Paces, jobs_table

JOB = "optimizer=adam,seed=0"


@pytest.fixture
def sweep_state(sweep_of_four, tmp_path):
    shutil.copytree(sweep_of_four, tmp_path / "test")
    return SweepState.open(tmp_path / "test")


def shown(sweep_state, job, most=None, paces=None) -> dict[str, str]:
    """The row of a job, by the heads of the columns."""
    table = jobs_table(sweep_state, most, paces)
    console = Console(width=200)
    columns = {
        column.header: [console.render_str(str(text)).plain for text in column.cells] for column in table.columns
    }
    return {head: texts[columns["job"].index(job)] for head, texts in columns.items()}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def write_last_row(sweep_state, **last) -> None:
    """One row of metrics.csv, written now."""
    table = sweep_state.directory / JOB / "metrics.csv"
    head, *_ = table.read_text().splitlines()
    table.write_text(f"{head}\n{','.join(last.get(name, '0.5') for name in head.split(','))}\n")


def edit(sweep_state, **fields):
    path = sweep_state.directory / JOB / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_finished_job_shows_its_epochs_and_its_best(sweep_state):
    record = sweep_state.record(JOB)
    sweep_state.entries[JOB].state = "done"
    row = shown(sweep_state, JOB)
    assert row["state"] == "done"
    epochs = record["config"]["trainer"]["epochs"]
    assert row["epoch"] == f"{epochs}/{epochs}"
    assert row["best"] == f"{record['best']['monitor']} {record['best']['value']:.4f}"


def test_its_time_is_that_of_all_attempts(sweep_state):
    earlier = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T11:00:00+00:00"}
    edit(
        sweep_state, earlier_sessions=[earlier], started="2026-01-02T10:00:00+00:00", ended="2026-01-02T10:00:05+00:00"
    )
    sweep_state.entries[JOB].state = "done"
    assert shown(sweep_state, JOB)["time"] == "1:00:05"


def test_its_time_is_that_of_its_process_and_not_of_the_training_within_it(sweep_state):
    """TensorFlow's start and the interpreter's end are part of what a person waits for."""
    edit(sweep_state, started="2026-01-02T10:00:09+00:00", ended="2026-01-02T10:00:15+00:00")
    sweep_state.entries[JOB].state, sweep_state.entries[JOB].seconds = "done", 25.0
    assert shown(sweep_state, JOB)["time"] == "0:00:25"
    sweep_state.begin(JOB, "cpu")  # it is resumed
    sweep_state.entries[JOB].started = ago(60)
    assert shown(sweep_state, JOB)["time"] in ("0:01:25", "0:01:26")


def test_an_attempt_that_was_killed_counts_for_nothing(sweep_state):
    earlier = {"started": "2026-01-01T10:00:00+00:00", "ended": None}
    edit(
        sweep_state, earlier_sessions=[earlier], started="2026-01-02T10:00:00+00:00", ended="2026-01-02T10:00:05+00:00"
    )
    sweep_state.entries[JOB].state = "done"
    assert shown(sweep_state, JOB)["time"] == "0:00:05"


def test_what_is_left_follows_from_the_last_epochs_length_and_not_from_when_the_job_began(sweep_state):
    config = sweep_state.record(JOB)["config"]
    config["trainer"] |= {"epochs": 10, "steps": None}
    edit(sweep_state, config=config, started="2026-01-02T10:00:00+00:00", ended=None)  # long ago: it was resumed
    write_last_row(sweep_state, epoch="9", step="900", seconds="120.0")
    os.utime(sweep_state.directory / JOB / "metrics.csv", (time.time() - 30,) * 2)
    sweep_state.begin(JOB, "gpu 3")
    row = shown(sweep_state, JOB)
    assert row["epoch"] == "9/10"
    assert row["left"] in ("0:01:29", "0:01:30")
    assert row["device"] == "gpu 3"


def test_what_is_left_counts_validation_and_checkpoints_and_what_follows_the_last_epoch(sweep_state):
    config = sweep_state.record(JOB)["config"]
    config["trainer"] |= {"epochs": 10, "steps": None}
    edit(sweep_state, config=config, started=ago(1000), ended=None)
    table = sweep_state.directory / JOB / "metrics.csv"
    paces = Paces(sweep_state)
    os.utime(table, (time.time() - 5000,) * 2)  # of an attempt that was cut
    paces.began(JOB)
    sweep_state.begin(JOB, "cpu")
    for epoch, back in (("3", 200), ("5", 0)):
        write_last_row(sweep_state, epoch=epoch, step="1", seconds="7.0")  # of training alone
        os.utime(table, (time.time() - back,) * 2)
        left = shown(sweep_state, JOB, paces=paces)["left"]
    assert left in ("0:08:19", "0:08:20")  # five epochs of 100 seconds

    other = "optimizer=adam,seed=1"
    sweep_state.entries[other].state, sweep_state.entries[other].ended = "done", ago(0)
    os.utime(sweep_state.directory / other / "metrics.csv", (time.time() - 30,) * 2)
    assert shown(sweep_state, JOB, paces=paces)["left"] in ("0:08:49", "0:08:50")


def test_a_small_window_shows_what_runs_and_fails_rather_than_what_is_done(sweep_state):
    for name in sweep_state.entries:
        sweep_state.entries[name].state = "done"
    sweep_state.begin("optimizer=sgd,seed=0", "cpu")
    sweep_state.end("optimizer=sgd,seed=1", "failed", "no such file")
    jobs = [str(job) for job in jobs_table(sweep_state, most=2).columns[0].cells]
    assert jobs == ["optimizer=sgd,seed=0", "optimizer=sgd,seed=1"]
