"""sweep.json and the runs' own records."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.lock import sole_writer
from cnnlab.sweeps.grid import Cell
from cnnlab.sweeps.state import AGAIN, RETRIED, Ledger
from cnnlab.sweeps.watch import jobs_table

CELLS = [Cell(f"seed={seed}", (f"seed={seed}",), {"seed": str(seed)}) for seed in range(3)]


def ledger_of(folder) -> Ledger:
    return Ledger.of_grid(folder, ["seed"], "cnnlab train -m seed=0,1,2", CELLS)


def record(folder, name, **fields) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "run.json").write_text(json.dumps(fields))


def states(ledger) -> list[str]:
    return [entry.state for entry in ledger.entries.values()]


def test_cells_are_pending_until_their_runs_say_otherwise(tmp_path):
    assert states(ledger_of(tmp_path)) == ["pending"] * 3
    record(tmp_path, "seed=0", status="completed", error=None)
    record(tmp_path, "seed=1", status="diverged", error="Diverged: loss is nan")
    ledger = ledger_of(tmp_path)
    assert states(ledger) == ["done", "diverged", "pending"]
    assert ledger.entries["seed=1"].reason == "Diverged: loss is nan"


def test_a_run_that_says_running_but_whose_process_is_gone_was_interrupted(tmp_path):
    record(tmp_path, "seed=0", status="running", error=None)
    assert states(ledger_of(tmp_path))[0] == "interrupted"
    with sole_writer(tmp_path / "seed=0"):
        assert states(ledger_of(tmp_path))[0] == "running"


def test_a_cell_that_says_running_on_another_host_is_unknown_and_runs_again_only_when_asked(tmp_path):
    record(tmp_path, "seed=0", status="running", error=None, host={"name": "elsewhere"})
    (entry, *_) = ledger_of(tmp_path).entries.values()
    assert entry.state == "unknown"
    assert "elsewhere" in entry.reason
    assert entry.state in RETRIED - AGAIN
    assert "unknown" in str(jobs_table(ledger_of(tmp_path), most=1).columns[1]._cells)


def test_what_was_noted_is_read_again_and_a_grid_that_grows_keeps_it(tmp_path):
    ledger = Ledger.of_grid(tmp_path, ["seed"], "cnnlab", CELLS[:1])
    ledger.begin("seed=0", "gpu 1")
    ledger.end("seed=0", "failed", "no such file")
    grown = ledger_of(tmp_path)
    assert states(grown) == ["failed", "pending", "pending"]
    assert (grown.entries["seed=0"].reason, grown.entries["seed=0"].device) == ("no such file", "gpu 1")


def test_the_seconds_of_all_attempts_add_up_and_what_never_began_took_none(tmp_path):
    ledger = ledger_of(tmp_path)
    for seconds in (25, 5):
        ledger.begin("seed=0", "cpu")
        ledger.entries["seed=0"].started = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        ledger.end("seed=0", "interrupted", "cut")
    ledger.end("seed=0", "failed", "could not be started again")
    assert Ledger.open(tmp_path).entries["seed=0"].seconds == pytest.approx(30, abs=1)
    ledger.end("seed=1", "failed", "no such file")
    assert ledger.entries["seed=1"].seconds == 0


def test_a_job_that_was_stopped_for_taking_too_long_stays_failed(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.begin("seed=0", "cpu")
    record(tmp_path, "seed=0", status="interrupted", error="Interrupted: SIGTERM")
    ledger.end("seed=0", "failed", "no end after 5 minutes")
    again = ledger_of(tmp_path).entries["seed=0"]
    assert (again.state, again.reason) == ("failed", "no end after 5 minutes")


def test_a_cell_whose_folder_is_gone_is_pending_again(tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.end("seed=0", "done", None)
    assert states(ledger_of(tmp_path))[0] == "pending"


def test_a_damaged_ledger_is_refused_in_one_line(tmp_path):
    (tmp_path / "sweep.json").write_text('{"keys": [')
    with pytest.raises(UserError, match=r"sweep\.json: the ledger of a sweep cannot be read .* sweep\.name"):
        ledger_of(tmp_path)
