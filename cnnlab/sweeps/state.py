"""sweep.json: what is known of every job of a sweep."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cnnlab.errors import UserError
from cnnlab.runs.files import write_json
from cnnlab.runs.status import status_of
from cnnlab.sweeps.grid import Job

State = Literal["pending", "running", "done", "interrupted", "failed", "diverged", "unknown"]

STATES: dict[str, State] = {
    "running": "running",
    "completed": "done",
    "interrupted": "interrupted",
    "failed": "failed",
    "diverged": "diverged",
    "unknown": "unknown",
}
"""What the status of a run means for its job."""

AGAIN: frozenset[State] = frozenset({"pending", "interrupted"})
"""What the same command runs again without being asked."""

RETRIED: frozenset[State] = frozenset({"failed", "diverged", "unknown"})
"""What it runs again with sweep.retry_failed=true."""


@dataclass
class Entry:
    """What is known of one job.

    Attributes:
        overrides: of its training.
        values: of the swept keys.
        state: see `State`.
        reason: why it is not done, in one line.
        started, ended: of the process of the last attempt, ISO 8601; None where another launcher started it.
        seconds: from the start of a process to its end, of all attempts that have ended.
        device: it last ran on.
    """

    overrides: list[str]
    values: dict[str, str]
    state: State = "pending"
    reason: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: float = 0.0
    device: str | None = None


class SweepState:
    """The record of a sweep, rewritten atomically at every change.

    Attributes:
        directory: of the sweep; each job's folder lies in it.
        entries: by the jobs' names.
    """

    def __init__(self, directory: Path, keys: Iterable[str], command: str, entries: dict[str, Entry]):
        self.directory = directory
        self.keys = list(keys)
        self.command = command
        self.entries = entries

    @classmethod
    def open(cls, directory: Path) -> "SweepState":
        """Read the state of a sweep.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        path = directory / "sweep.json"
        try:
            content = json.loads(path.read_text())
            entries = {name: Entry(**entry) for name, entry in content["jobs"].items()}
            return cls(directory, content["keys"], content["command"], entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = "another version of cnnlab wrote it" if isinstance(error, KeyError | TypeError) else error
            raise UserError(f"{path}: a sweep's state that cannot be read ({reason}); choose another folder") from error

    @classmethod
    def of_grid(cls, directory: Path, keys: Iterable[str], command: str, jobs: Iterable[Job]) -> "SweepState":
        """The state of a sweep: what was known of it, and the jobs that are new. Nothing is written."""
        jobs = list(jobs)
        entries = cls.open(directory).entries if (directory / "sweep.json").exists() else {}
        for job in jobs:
            entry = entries.setdefault(job.name, Entry([], {}))
            entry.overrides, entry.values = list(job.overrides), dict(job.values)
        sweep_state = cls(directory, keys, command, entries)
        sweep_state.refresh()
        return sweep_state

    def refresh(self) -> None:
        """Take over what the runs' own records say: a job may have been killed, moved, or trained by other means."""
        for name, entry in self.entries.items():
            record = self.record(name)
            if record is None:
                if entry.state in ("running", "done", "interrupted", "diverged"):
                    entry.state, entry.reason = "pending", None
                continue
            status = status_of(self.directory / name, record)
            state, reason = STATES.get(status.name, "failed"), status.reason
            killed = state == "interrupted" and record["status"] == "running"
            if killed or (state == "failed" and entry.state == "failed"):
                reason = entry.reason or reason  # the sweep knows more of the process
            elif state == "interrupted" and entry.state == "failed":  # it was stopped after sweep.job_timeout
                state, reason = "failed", entry.reason
            entry.state, entry.reason = state, reason

    def record(self, name: str) -> dict[str, Any] | None:
        """run.json of a job; None where there is none."""
        with suppress(OSError, ValueError):
            return json.loads((self.directory / name / "run.json").read_text())
        return None

    def begin(self, name: str, device: str) -> None:
        """Note that a job is being trained."""
        entry = self.entries[name]
        entry.state, entry.reason, entry.device = "running", None, device
        entry.started, entry.ended = datetime.now(UTC).isoformat(timespec="milliseconds"), None
        self.save()

    def end(self, name: str, state: State, reason: str | None) -> None:
        """Note how the training of a job has ended."""
        entry = self.entries[name]
        ended = datetime.now(UTC)
        if entry.state == "running" and entry.started:
            entry.seconds += (ended - datetime.fromisoformat(entry.started)).total_seconds()
        entry.state, entry.reason, entry.ended = state, reason, ended.isoformat(timespec="seconds")
        self.save()

    def save(self) -> None:
        """Write sweep.json."""
        jobs = {name: asdict(entry) for name, entry in self.entries.items()}
        content = {"name": self.directory.name, "command": self.command, "keys": self.keys, "jobs": jobs}
        write_json(self.directory / "sweep.json", content)

    def of_state(self, *states: State) -> Iterator[str]:
        """Names of the jobs in a state."""
        return (name for name, entry in self.entries.items() if entry.state in states)
