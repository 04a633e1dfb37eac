"""The table of jobs that a person sees while a sweep runs."""

import json
import os
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from cnnlab.sweeps.state import Ledger
from cnnlab.sweeps.watch import Paces, jobs_table

CELL = "optimizer=adam,seed=0"


@pytest.fixture
def ledger(sweep_of_four, tmp_path):
    shutil.copytree(sweep_of_four, tmp_path / "test")
    return Ledger.open(tmp_path / "test")


def shown(ledger, cell, most=None, paces=None) -> dict[str, str]:
    """The row of a cell, by the heads of the columns."""
    table = jobs_table(ledger, most, paces)
    console = Console(width=200)
    columns = {
        column.header: [console.render_str(str(text)).plain for text in column.cells] for column in table.columns
    }
    return {head: texts[columns["cell"].index(cell)] for head, texts in columns.items()}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def write_last_row(ledger, **last) -> None:
    """One row of metrics.csv, written now."""
    table = ledger.directory / CELL / "metrics.csv"
    head, *_ = table.read_text().splitlines()
    table.write_text(f"{head}\n{','.join(last.get(name, '0.5') for name in head.split(','))}\n")


def edit(ledger, **fields):
    path = ledger.directory / CELL / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_finished_job_shows_its_epochs_and_its_best(ledger):
    record = ledger.record(CELL)
    ledger.entries[CELL].state = "done"
    row = shown(ledger, CELL)
    assert row["state"] == "done"
    epochs = record["config"]["trainer"]["epochs"]
    assert row["epoch"] == f"{epochs}/{epochs}"
    assert row["best"] == f"{record['best']['monitor']} {record['best']['value']:.4f}"


def test_its_time_is_that_of_all_attempts(ledger):
    earlier = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T11:00:00+00:00"}
    edit(ledger, earlier_sessions=[earlier], started="2026-01-02T10:00:00+00:00", ended="2026-01-02T10:00:05+00:00")
    ledger.entries[CELL].state = "done"
    assert shown(ledger, CELL)["time"] == "1:00:05"


def test_its_time_is_that_of_its_process_and_not_of_the_training_within_it(ledger):
    """TensorFlow's start and the interpreter's end are part of what a person waits for."""
    edit(ledger, started="2026-01-02T10:00:09+00:00", ended="2026-01-02T10:00:15+00:00")
    ledger.entries[CELL].state, ledger.entries[CELL].seconds = "done", 25.0
    assert shown(ledger, CELL)["time"] == "0:00:25"
    ledger.begin(CELL, "cpu")  # it goes on
    ledger.entries[CELL].started = ago(60)
    assert shown(ledger, CELL)["time"] in ("0:01:25", "0:01:26")


def test_an_attempt_that_was_killed_counts_for_nothing(ledger):
    earlier = {"started": "2026-01-01T10:00:00+00:00", "ended": None}
    edit(ledger, earlier_sessions=[earlier], started="2026-01-02T10:00:00+00:00", ended="2026-01-02T10:00:05+00:00")
    ledger.entries[CELL].state = "done"
    assert shown(ledger, CELL)["time"] == "0:00:05"


def test_what_is_left_follows_from_the_last_epochs_length_and_not_from_when_the_job_began(ledger):
    config = ledger.record(CELL)["config"]
    config["trainer"] |= {"epochs": 10, "steps": None}
    edit(ledger, config=config, started="2026-01-02T10:00:00+00:00", ended=None)  # long ago: it was resumed
    write_last_row(ledger, epoch="9", step="900", seconds="120.0")
    os.utime(ledger.directory / CELL / "metrics.csv", (time.time() - 30,) * 2)
    ledger.begin(CELL, "gpu 3")
    row = shown(ledger, CELL)
    assert row["epoch"] == "9/10"
    assert row["left"] in ("0:01:29", "0:01:30")
    assert row["device"] == "gpu 3"


def test_what_is_left_counts_validation_and_checkpoints_and_what_follows_the_last_epoch(ledger):
    config = ledger.record(CELL)["config"]
    config["trainer"] |= {"epochs": 10, "steps": None}
    edit(ledger, config=config, started=ago(1000), ended=None)
    table = ledger.directory / CELL / "metrics.csv"
    paces = Paces(ledger)
    os.utime(table, (time.time() - 5000,) * 2)  # of an attempt that was cut
    paces.began(CELL)
    ledger.begin(CELL, "cpu")
    for epoch, back in (("3", 200), ("5", 0)):
        write_last_row(ledger, epoch=epoch, step="1", seconds="7.0")  # of training alone
        os.utime(table, (time.time() - back,) * 2)
        left = shown(ledger, CELL, paces=paces)["left"]
    assert left in ("0:08:19", "0:08:20")  # five epochs of 100 seconds

    other = "optimizer=adam,seed=1"
    ledger.entries[other].state, ledger.entries[other].ended = "done", ago(0)
    os.utime(ledger.directory / other / "metrics.csv", (time.time() - 30,) * 2)
    assert shown(ledger, CELL, paces=paces)["left"] in ("0:08:49", "0:08:50")


def test_a_small_window_shows_what_runs_and_fails_rather_than_what_is_done(ledger):
    for name in ledger.entries:
        ledger.entries[name].state = "done"
    ledger.begin("optimizer=sgd,seed=0", "cpu")
    ledger.end("optimizer=sgd,seed=1", "failed", "no such file")
    cells = [str(cell) for cell in jobs_table(ledger, most=2).columns[0].cells]
    assert cells == ["optimizer=sgd,seed=0", "optimizer=sgd,seed=1"]
