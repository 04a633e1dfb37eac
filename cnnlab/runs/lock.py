"""One writer per run directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnnlab.errors import UserError


@contextmanager
def sole_writer(directory: Path) -> Iterator[None]:
    """Hold the run directory's lock for the length of the block.

    The kernel drops the lock when the process dies, however it dies, so no stale lock is ever left behind.

    Raises:
        UserError: another process is writing this run.
    """
    path = directory / ".lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(
                f"{directory}: process {holder} is writing this run; wait for it, or train into another directory"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            if not (directory / "run.json").exists():  # nothing came of it: leave no trace
                path.unlink()


def is_locked(directory: Path) -> bool | None:
    """Whether a process is writing this run; None where the lock cannot be tested.

    On another host's run the answer False proves nothing: not every network file system shares its locks.
    """
    try:
        file = (directory / ".lock").open()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False
