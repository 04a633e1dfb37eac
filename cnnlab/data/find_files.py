"""The files that names, folders and patterns stand for."""

import logging
from collections import Counter
from collections.abc import Sequence
from glob import glob
from pathlib import Path

from cnnlab.data.folders import files_below
from cnnlab.errors import UserError
from cnnlab.reporting.words import reasons

log = logging.getLogger(__name__)


def find_files(patterns: Sequence[str], key: str = "images") -> list[str]:
    """The files that names, folders (see `files_below`) and glob patterns stand for, each once.

    Args:
        patterns: names of files or folders, or glob patterns.
        key: of the configuration that gave them, for errors.

    Raises:
        UserError: one of `patterns` stands for no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = _files_below(path, key)
        elif path.is_file():
            files = [pattern]
        else:
            matches = glob(pattern, recursive=True)  # noqa: PTH207, Path.glob takes no absolute pattern
            files = [match for match in sorted(matches) if Path(match).is_file()]
        if not files:
            what = "holds no file" if path.is_dir() else "no such file, and no file matches"
            raise UserError(f"{key}={pattern}: {what}")
        found |= dict.fromkeys(files)
    return list(found)


def _files_below(folder: Path, key: str) -> list[str]:
    """All files below a folder; what the search left out is told."""
    found = files_below(folder)
    if found.skipped:
        skipped = Counter(found.skipped.values())
        log.warning("%s=%s: %d skipped (%s)", key, folder, skipped.total(), reasons(skipped))
    return found.names
