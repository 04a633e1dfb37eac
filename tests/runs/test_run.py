"""The run directory: record, lock, refusals."""

import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from cnnlab.errors import Diverged, Interrupted, UserError
from cnnlab.runs.lock import sole_writer
from cnnlab.runs.run import Run

CONFIG = OmegaConf.create({"seed": 3})


def record(path) -> dict:
    return json.loads((path / "run.json").read_text())


def test_a_new_run_records_where_it_comes_from(tmp_path):
    Run.create(tmp_path / "run", CONFIG).begin()
    written = record(tmp_path / "run")
    assert written["status"] == "running"
    assert written["versions"]["tensorflow"]
    assert written["command"].startswith("cnnlab")
    assert OmegaConf.load(tmp_path / "run" / "config.yaml") == CONFIG


def test_an_existing_run_is_never_overwritten(tmp_path):
    Run.create(tmp_path, CONFIG).begin()
    with pytest.raises(UserError, match=r"holds a run already.*resume="):
        Run.create(tmp_path, CONFIG)


@pytest.mark.parametrize("name", ["config.yaml", "report.html", "checkpoints"])
def test_a_folder_with_files_that_a_training_would_write_over_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").touch()
    Run.create(tmp_path, CONFIG)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=rf"{name}: is no run's, and .* write over it; choose another hydra.run.dir$"):
        Run.create(tmp_path, CONFIG)


def test_where_a_run_was_killed_as_it_began_it_can_begin_again_and_nothing_else_goes(tmp_path):
    (tmp_path / ".2026-notes").write_text("mine")
    Run.create(tmp_path, CONFIG).begin()
    (tmp_path / "run.json").unlink()
    Run.create(tmp_path, CONFIG).begin()
    assert (tmp_path / ".2026-notes").read_text() == "mine"


@pytest.mark.parametrize(("commit", "reader"), [("0123456789abcdef", "the code of commit 0123456789ab"), (None, "the")])
def test_a_run_of_an_earlier_format_is_refused_in_one_line(tmp_path, commit, reader):
    Run.create(tmp_path, CONFIG).begin()
    earlier = {name: value for name, value in record(tmp_path).items() if name != "format"} | {"commit": commit}
    (tmp_path / "run.json").write_text(json.dumps(earlier))
    with pytest.raises(UserError, match=rf": is a run of format 1, this cnnlab reads 3; use {reader}.* train anew$"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"), [("config.yaml", "seed: ["), ("config.yaml", "- seed\n"), ("run.json", "{"), ("run.json", "[]")]
)
def test_a_damaged_run_is_refused_in_one_line(tmp_path, name, text):
    Run.create(tmp_path, CONFIG).begin()
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"^[^\n]*: its run.json or config.yaml cannot be read \([^\n]+\)$"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Diverged("nan at step 3"), "diverged"),
        (Interrupted(15, "stopped"), "interrupted"),
        (UserError("disk"), "failed"),
        (RuntimeError("boom"), "failed"),
    ],
)
def test_the_record_says_how_a_run_ended(tmp_path, error, status):
    run = Run.create(tmp_path, CONFIG)
    with pytest.raises(type(error)), run.recorded():
        raise error
    assert record(tmp_path)["status"] == status
    assert str(error) in record(tmp_path)["error"]


def test_a_run_that_ends_well_is_completed(tmp_path):
    run = Run.create(tmp_path, CONFIG)
    with run.recorded():
        pass
    assert record(tmp_path)["status"] == "completed"
    assert record(tmp_path)["error"] is None


def test_a_resumed_run_remembers_its_earlier_sessions(tmp_path):
    run = Run.create(tmp_path, CONFIG)
    run.begin()
    run.finish("interrupted")
    resumed = Run.open(tmp_path)
    resumed.resume(CONFIG)
    resumed.begin()
    written = record(tmp_path)
    assert written["status"] == "running"
    assert [session["status"] for session in written["earlier_sessions"]] == ["interrupted"]


def test_a_run_that_goes_on_with_other_versions_says_so_and_keeps_both(tmp_path, caplog):
    Run.create(tmp_path, CONFIG).begin()
    assert caplog.messages == []
    begun = Run.open(tmp_path)
    now = begun.record["versions"]["keras"]
    begun.update(versions=begun.record["versions"] | {"keras": "3.0.0"})
    begun.resume(CONFIG)
    begun.begin()
    [told] = caplog.messages
    assert f"is resumed with other code (keras 3.0.0 → {now})" in told
    assert record(tmp_path)["versions"]["keras"] == now
    assert record(tmp_path)["earlier_sessions"][0]["versions"]["keras"] == "3.0.0"


def test_opening_what_is_no_run_names_the_runs_inside(tmp_path):
    Run.create(tmp_path / "name" / "first", CONFIG).begin()
    with pytest.raises(UserError, match=r"is no run itself.*name/first"):
        Run.open(tmp_path / "name")
    with pytest.raises(UserError, match="no such run directory"):
        Run.open(tmp_path / "absent")


def test_a_second_writer_is_refused_and_the_lock_dies_with_its_process(tmp_path):
    code = (
        "import sys, pathlib; from cnnlab.runs.lock import sole_writer\n"
        "with sole_writer(pathlib.Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(UserError, match=f"process {holder.pid} is writing this run"), sole_writer(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
    with sole_writer(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_where_the_file_system_has_no_locks_a_run_is_written_without_one(tmp_path, monkeypatch, caplog, number):
    def flock(file: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with sole_writer(tmp_path):
        Run.create(tmp_path, CONFIG).begin()
    (warning,) = caplog.messages
    assert warning.startswith(f"{tmp_path}/.lock: going on without a lock ({os.strerror(number)})")
