"""How a run stands: its own record, and whether its process is still there."""

import json
import platform

import pytest
from omegaconf import OmegaConf

from cnnlab.runs.lock import sole_writer
from cnnlab.runs.run import Run
from cnnlab.runs.status import Status, status_of


@pytest.fixture
def begun(tmp_path) -> Run:
    """A run that has begun in a process that is gone by now."""
    Run.create(tmp_path, OmegaConf.create({"seed": 3})).begin()
    return Run.open(tmp_path)


def test_a_run_is_running_as_long_as_its_process_holds_the_lock(begun):
    with sole_writer(begun.path):
        assert begun.status == Status("running", None)
    assert begun.status == Status("interrupted", "its process is gone")


def test_what_ran_on_another_host_is_unknown(begun):
    elsewhere = {"status": "running", "host": {"name": f"not-{platform.node()}"}}
    begun.update(**elsewhere)
    assert begun.status.name == "unknown"
    assert f"not-{platform.node()}" in begun.status.reason
    with sole_writer(begun.path):  # a file system that shares its locks tells
        assert begun.status.name == "running"


@pytest.mark.parametrize("host", [platform.node(), f"not-{platform.node()}"])
def test_to_resume_what_may_run_on_another_host_is_told(begun, caplog, host):
    begun.update(host={"name": host})
    Run.open(begun.path).resume(OmegaConf.create({"seed": 3}))
    told = [f"{begun.path} was running on {host} when it was last heard of"] if host != platform.node() else []
    assert [message.partition(":")[0] for message in caplog.messages] == told


def test_a_lock_that_cannot_be_tested_proves_nothing(begun):
    (begun.path / ".lock").symlink_to(".lock")
    assert begun.status.name == "unknown"


def test_a_run_that_has_ended_since_its_record_was_read_says_how(begun):
    before = dict(begun.record)
    begun.finish("completed")
    assert status_of(begun.path, before) == Status("completed", None)


@pytest.mark.parametrize("name", ["completed", "interrupted", "diverged", "failed"])
def test_how_a_run_ended_is_its_own_word(begun, name):
    begun.finish(name, "why")
    with sole_writer(begun.path):
        assert begun.status == Status(name, "why")


def test_a_resumed_run_remembers_that_the_earlier_session_was_interrupted(begun):
    with sole_writer(begun.path):
        begun.resume(OmegaConf.create({"seed": 3}))
        begun.begin()
    (earlier,) = json.loads((begun.path / "run.json").read_text())["earlier_sessions"]
    assert earlier["status"] == "interrupted"
