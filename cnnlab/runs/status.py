"""How a run stands: what its record says, and whether the process that wrote so is still there."""

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.runs.lock import is_locked


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Attributes:
        name: running, completed, interrupted, diverged or failed; unknown where it says that it runs on another
            host, and nothing here can tell whether it does.
        reason: why it is not completed, in one line; None where there is nothing to say.
    """

    name: str
    reason: str | None


def status_of(directory: Path, record: Mapping[str, Any]) -> Status:
    """How the run in `directory` stands now, of which `record` (run.json) was read a while ago.

    A run that is killed outright cannot say so: its record says `running` for ever. The kernel drops a process's
    lock with the process, so a free lock on the host that the run was on tells that it was interrupted.
    """
    if record.get("status") != "running":
        return _ended(record)
    locked = is_locked(directory)
    if locked:
        return Status("running", None)
    with suppress(OSError, ValueError):  # it may have ended since, and says how before it lets go of the lock
        record = json.loads((directory / "run.json").read_text())
    if record.get("status") != "running":
        return _ended(record)
    host = (record.get("host") or {}).get("name")
    if locked is None or host not in (None, platform.node()):
        return Status("unknown", f"it was running on {host or 'a host'}, and from here its lock cannot be tested")
    return Status("interrupted", "its process is gone")


def _ended(record: Mapping[str, Any]) -> Status:
    return Status(record.get("status", "unknown"), record.get("error"))
