"""One training as a process of its own, watched from outside."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cnnlab.config.run_config import keeps_result
from cnnlab.reporting.words import counted
from cnnlab.sweeps.slots import Slot
from cnnlab.sweeps.state import State

GRACE_SECONDS = 600.0
"""What a job that has taken too long has to write its checkpoint before it is killed, since it may hang."""

LOG = "train.log"
"""What a job's training prints, in its folder; later attempts append."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: a forked child must not wait for locks


@dataclass(frozen=True)
class Outcome:
    """How a job has ended."""

    state: State
    reason: str | None


class JobProcess:
    """A running training.

    Args:
        directory: of its run; made if missing.
        arguments: of `cnnlab train`.
        slot: where it runs.
        timeout: seconds after which it is stopped; None for never.
    """

    def __init__(self, directory: Path, arguments: Sequence[str], slot: Slot, timeout: float | None):
        self.directory = directory
        self.slot = slot
        self.began = time.monotonic()
        self._timeout = timeout
        self._is_stopping = False
        self._is_killed = False
        self._timed_out = False
        directory.mkdir(parents=True, exist_ok=True)
        # -P: no module of the working directory takes the place of an installed one.
        command = [sys.executable, "-P", "-m", "cnnlab", "train", *arguments]
        with (directory / LOG).open("ab") as log:
            log.write(f"$ {shlex.join(['cnnlab', 'train', *arguments])}\n".encode())
            log.flush()
            self._start_of_output = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | dict(slot.environment),
                start_new_session=True,  # Ctrl-C in the terminal reaches the sweep alone, which passes it on
                preexec_fn=partial(_in_child, slot.cores, os.getpid()),
            )

    def poll(self) -> Outcome | None:
        """How the job has ended; None while it runs. Stops it where it has run for too long."""
        code = self._process.poll()
        if code is not None:
            return self._outcome(code)
        late = 0.0 if self._timeout is None else time.monotonic() - self.began - self._timeout
        if late > 0 and not self._is_stopping:
            self._timed_out = True
            self.stop(signal.SIGTERM)
        if late > GRACE_SECONDS:
            self.kill()
        return None

    def stop(self, signal_number: int) -> None:
        """Ask the job to write a checkpoint and end, however long that takes."""
        self._is_stopping = True
        self._process.send_signal(signal_number)

    def kill(self) -> None:
        """End the job and whatever it has started at once."""
        self._is_killed = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _outcome(self, code: int) -> Outcome:
        if self._timeout is not None and self._timed_out:
            minutes = self._timeout / 60
            unit = "minute" if minutes == 1 else "minutes"
            killed = f", nor {GRACE_SECONDS / 60:g} minutes after SIGTERM: killed" if self._is_killed else ""
            return Outcome("failed", f"no end after {minutes:g} {unit} (sweep.job_timeout){killed}")
        if code == 0:
            return Outcome("done", None)
        if code < 0:
            hint = ": out of memory, perhaps" if -code == signal.SIGKILL and not self._is_killed else ""
            return Outcome("interrupted", f"killed by {_signal_name(-code) or f'signal {-code}'}{hint}")
        reason = self._last_error()
        if code == 3:
            return Outcome("diverged", reason)
        if code > 128 and (name := _signal_name(code - 128)):
            return Outcome("interrupted", f"stopped by {name}")
        return Outcome("failed", reason or f"exit code {code}; see {LOG}")

    def _last_error(self) -> str | None:
        """The line of its output that says why: `error: …`, or the last of a traceback."""
        with (self.directory / LOG).open("rb") as log:
            log.seek(max(self._start_of_output, log.seek(0, os.SEEK_END) - 20_000))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        found = errors or lines
        return found[-1] if found else None


def stop_all(jobs: Collection[JobProcess], signal_number: int) -> None:
    """Pass a signal on to jobs, and say that they are waited for."""
    for job in jobs:
        job.stop(signal_number)
    if jobs:
        by, again = ("", "again ") if signal_number == signal.SIGINT else (f"{_signal_name(signal_number)}: ", "")
        waiting = f"waiting for {counted(len(jobs), 'job')} to save the state and end"
        print(f"{by}{waiting}; Ctrl-C {again}kills", file=sys.stderr, flush=True)


def _signal_name(number: int) -> str | None:
    """None for what is no signal, as after exit code 255, and for most of the real-time signals."""
    with suppress(ValueError):
        return signal.Signals(number).name
    return None


def train_arguments(overrides: Sequence[str], directory: Path, config_folders: Sequence[str]) -> list[str]:
    """What `cnnlab train` is given to train a job, or to resume it where its folder holds a run.

    A job that is resumed keeps its configuration; where its data lie now, its devices and other such keys, and the
    packages that may be named, are those of the command.

    Args:
        overrides: of the job.
        directory: of the job.
        config_folders: what --config-dir named.
    """
    flags = [argument for folder in config_folders for argument in ("--config-dir", folder)]
    if (directory / "run.json").exists():
        return [*flags, f"resume={directory}", *filter(keeps_result, overrides)]
    return [*flags, *overrides, "hydra.mode=RUN", f"hydra.run.dir={directory}"]


def _in_child(cores: frozenset[int] | None, parent: int) -> None:
    """In the new process, before the program starts: bind it to its cores, and to the life of the sweep."""
    if cores is not None:
        os.sched_setaffinity(0, cores)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # also where the sweep is killed outright
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
