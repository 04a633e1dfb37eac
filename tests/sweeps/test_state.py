"""sweep.json and the runs' own records."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cnnlab.errors import UserError
from cnnlab.runs.lock import sole_writer
from cnnlab.sweeps.grid import Job
from cnnlab.sweeps.state import AGAIN, RETRIED, SweepState
from cnnlab.sweeps.watch import jobs_table

JOBS = [Job(f"seed={seed}", (f"seed={seed}",), {"seed": str(seed)}) for seed in range(3)]


def state_of(folder) -> SweepState:
    return SweepState.of_grid(folder, ["seed"], "cnnlab train -m seed=0,1,2", JOBS)


def record(folder, name, **fields) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "run.json").write_text(json.dumps(fields))


def states(sweep_state) -> list[str]:
    return [entry.state for entry in sweep_state.entries.values()]


def test_jobs_are_pending_until_their_runs_say_otherwise(tmp_path):
    assert states(state_of(tmp_path)) == ["pending"] * 3
    record(tmp_path, "seed=0", status="completed", error=None)
    record(tmp_path, "seed=1", status="diverged", error="Diverged: loss is nan")
    sweep_state = state_of(tmp_path)
    assert states(sweep_state) == ["done", "diverged", "pending"]
    assert sweep_state.entries["seed=1"].reason == "Diverged: loss is nan"


def test_a_run_that_says_running_but_whose_process_is_gone_was_interrupted(tmp_path):
    record(tmp_path, "seed=0", status="running", error=None)
    assert states(state_of(tmp_path))[0] == "interrupted"
    with sole_writer(tmp_path / "seed=0"):
        assert states(state_of(tmp_path))[0] == "running"


def test_a_job_that_says_running_on_another_host_is_unknown_and_runs_again_only_when_asked(tmp_path):
    record(tmp_path, "seed=0", status="running", error=None, host={"name": "elsewhere"})
    (entry, *_) = state_of(tmp_path).entries.values()
    assert entry.state == "unknown"
    assert "elsewhere" in entry.reason
    assert entry.state in RETRIED - AGAIN
    assert "unknown" in str(jobs_table(state_of(tmp_path), most=1).columns[1]._cells)


def test_what_was_noted_is_read_again_and_a_grid_that_grows_keeps_it(tmp_path):
    sweep_state = SweepState.of_grid(tmp_path, ["seed"], "cnnlab", JOBS[:1])
    sweep_state.begin("seed=0", "gpu 1")
    sweep_state.end("seed=0", "failed", "no such file")
    grown = state_of(tmp_path)
    assert states(grown) == ["failed", "pending", "pending"]
    assert (grown.entries["seed=0"].reason, grown.entries["seed=0"].device) == ("no such file", "gpu 1")


def test_the_seconds_of_all_attempts_add_up_and_what_never_began_took_none(tmp_path):
    sweep_state = state_of(tmp_path)
    for seconds in (25, 5):
        sweep_state.begin("seed=0", "cpu")
        sweep_state.entries["seed=0"].started = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        sweep_state.end("seed=0", "interrupted", "cut")
    sweep_state.end("seed=0", "failed", "could not be started again")
    assert SweepState.open(tmp_path).entries["seed=0"].seconds == pytest.approx(30, abs=1)
    sweep_state.end("seed=1", "failed", "no such file")
    assert sweep_state.entries["seed=1"].seconds == 0


def test_a_job_that_was_stopped_for_taking_too_long_stays_failed(tmp_path):
    sweep_state = state_of(tmp_path)
    sweep_state.begin("seed=0", "cpu")
    record(tmp_path, "seed=0", status="interrupted", error="Interrupted: SIGTERM")
    sweep_state.end("seed=0", "failed", "no end after 5 minutes")
    again = state_of(tmp_path).entries["seed=0"]
    assert (again.state, again.reason) == ("failed", "no end after 5 minutes")


def test_a_job_whose_folder_is_gone_is_pending_again(tmp_path):
    sweep_state = state_of(tmp_path)
    sweep_state.end("seed=0", "done", None)
    assert states(state_of(tmp_path))[0] == "pending"


@pytest.mark.parametrize(
    ("content", "reason"),
    [('{"keys": [', "Expecting value"), ('{"keys": [], "cells": {}}', "another version of cnnlab")],
)
def test_a_state_that_is_damaged_or_of_another_version_is_refused_in_one_line(tmp_path, content, reason):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(
        UserError, match=rf"sweep\.json: a sweep's state that cannot be read \({reason}.*choose another"
    ):
        state_of(tmp_path)
