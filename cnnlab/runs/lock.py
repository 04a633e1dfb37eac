"""One writer per run directory."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cnnlab.errors import UserError

log = logging.getLogger(__name__)


@contextmanager
def sole_writer(directory: Path) -> Iterator[None]:
    """Hold the run directory's lock for the length of the block.

    The kernel drops the lock when the process dies, however it dies, so no stale lock is ever left behind. Where the
    file system has no locks, that is told and the block runs without one.

    Raises:
        UserError: another process is writing this run.
    """
    path = directory / ".lock"
    with path.open("a+") as file:
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def lock(file: IO[str], operation: int) -> None:
    """flock(2); where the file system has no locks, as some of NFS and Lustre, that is told and nothing is locked.

    Args:
        file: open.
        operation: of fcntl.

    Raises:
        BlockingIOError: another process holds the lock, and the operation is not to wait.
    """
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        raise
    except OSError as error:
        log.warning("%s: going on without a lock (%s); start nothing else that writes there", file.name, error.strerror)


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
