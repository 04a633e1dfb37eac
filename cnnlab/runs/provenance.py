"""Where a run came from: the command, the code, the versions and the machine."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnnlab.runtime.machine import processor_name, usable_cores

PACKAGES = ("cnnlab", "tensorflow", "keras", "numpy", "hydra-core", "omegaconf")


def provenance() -> dict[str, Any]:
    """The part of run.json that is known before anything is built."""
    commit, dirty = _commit()
    return {
        "command": shlex.join(["cnnlab", *sys.argv[1:]]),
        "working_directory": str(Path.cwd()),
        "commit": commit,
        "dirty": dirty,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "host": {
            "name": platform.node(),
            "system": platform.platform(),
            "processor": processor_name(),
            "cores": usable_cores(),
        },
        "pid": os.getpid(),
    }


def differing_code(before: dict[str, Any], now: dict[str, Any]) -> str:
    """In which versions, and in which commit of cnnlab's own source, two records of `provenance` differ.

    Returns:
        What a record does not know does not count; empty where nothing differs.
    """
    was, is_now = before.get("versions", {}), now["versions"]
    changed = [f"{name} {was[name]} → {is_now[name]}" for name in is_now if was.get(name, is_now[name]) != is_now[name]]
    commit_before, commit = before.get("commit"), now["commit"]
    if commit_before is not None and commit is not None and commit_before != commit:
        changed.append(f"commit {commit_before[:8]} → {commit[:8]}")
    return ", ".join(changed)


def _commit() -> tuple[str | None, bool | None]:
    """The commit cnnlab's own source stands at, and whether it was changed since; None outside a checkout."""
    source = Path(__file__).parents[2]
    if not (source / ".git").exists():
        return None, None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None
