"""The table of jobs that a person sees while a sweep runs."""

import json
import os
import shutil
import time

import pytest
from rich.console import Console

from cnnlab.sweeps.ledger import Ledger
from cnnlab.sweeps.watch import jobs_table

CELL = "optimizer=adam,seed=0"


@pytest.fixture
def ledger(sweep_of_four, tmp_path):
    shutil.copytree(sweep_of_four, tmp_path / "test")
    return Ledger.open(tmp_path / "test")


def shown(ledger, cell, most=None) -> dict[str, str]:
    """The row of a cell, by the heads of the columns."""
    table = jobs_table(ledger, most)
    console = Console(width=200)
    columns = {
        column.header: [console.render_str(str(text)).plain for text in column.cells] for column in table.columns
    }
    return {head: texts[columns["cell"].index(cell)] for head, texts in columns.items()}


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


def test_an_attempt_that_was_killed_counts_for_nothing(ledger):
    earlier = {"started": "2026-01-01T10:00:00+00:00", "ended": None}
    edit(ledger, earlier_sessions=[earlier], started="2026-01-02T10:00:00+00:00", ended="2026-01-02T10:00:05+00:00")
    ledger.entries[CELL].state = "done"
    assert shown(ledger, CELL)["time"] == "0:00:05"


def test_what_is_left_follows_from_the_last_epochs_length_and_not_from_when_the_job_began(ledger):
    config = ledger.record(CELL)["config"]
    config["trainer"] |= {"epochs": 10, "steps": None}
    edit(ledger, config=config, started="2026-01-02T10:00:00+00:00", ended=None)  # long ago: it was resumed
    table = ledger.directory / CELL / "metrics.csv"
    head, *_ = table.read_text().splitlines()
    last = {"epoch": "9", "step": "900", "seconds": "120.0"}
    table.write_text(f"{head}\n{','.join(last.get(name, '0.5') for name in head.split(','))}\n")
    os.utime(table, (time.time() - 30,) * 2)
    ledger.begin(CELL, "gpu 3")
    row = shown(ledger, CELL)
    assert row["epoch"] == "9/10"
    assert row["left"] in ("0:01:29", "0:01:30")
    assert row["device"] == "gpu 3"


def test_a_small_window_shows_what_runs_and_fails_rather_than_what_is_done(ledger):
    for name in ledger.entries:
        ledger.entries[name].state = "done"
    ledger.begin("optimizer=sgd,seed=0", "cpu")
    ledger.end("optimizer=sgd,seed=1", "failed", "no such file")
    cells = [str(cell) for cell in jobs_table(ledger, most=2).columns[0].cells]
    assert cells == ["optimizer=sgd,seed=0", "optimizer=sgd,seed=1"]
