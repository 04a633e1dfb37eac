"""The files that names, folders and patterns stand for."""

import errno
import logging
from collections import Counter
from collections.abc import Sequence
from glob import escape, glob
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
        if _is_folder(path, key):
            files = _files_below(path, key)
        elif path.is_file():
            files = [pattern]
        else:
            matches = sorted(glob(_with_folders(pattern), recursive=True))  # noqa: PTH207, Path.glob takes no absolute pattern
            files = [match for match in matches if not Path(match).is_dir()]  # links that lead nowhere among them
            _tell_folders(pattern, matches, files, key)
        if not files:
            what = "holds no file" if path.is_dir() else "no such file, and no file matches"
            raise UserError(f"{key}={pattern}: {what}")
        found |= dict.fromkeys(files)
    return list(found)


def _is_folder(path: Path, key: str) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        hint = f"give several as '{key}=[a.jpg,b.jpg]', or a pattern such as '{key}=photos/*.jpg'"
        raise UserError(f"{key}={str(path)[:60]}…: too long for the name of a file; {hint}") from None


def _with_folders(pattern: str) -> str:
    """A pattern whose first parts, where they are the names of folders, stand for these: `photos [1]/*.jpg`."""
    parts = pattern.split("/")
    literal = next((n for n in range(1, len(parts) + 1) if not Path("/".join(parts[:n]) or "/").is_dir()), 1) - 1
    return "/".join([*map(escape, parts[:literal]), *parts[literal:]])


def _tell_folders(pattern: str, matches: Sequence[str], files: Sequence[str], key: str) -> None:
    """Say which folders a pattern has matched that are not searched, as a folder that is named would be.

    Raises:
        UserError: it has matched nothing else.
    """
    searched = {folder for file in files for folder in Path(file).parents}
    folders = [match for match in map(Path, matches) if match.is_dir() and match not in searched]
    if not folders:
        return
    what = f"matches {len(folders)} folder{'s' * (len(folders) > 1)}, such as {folders[0]}, which {key} does not search"
    hint = f"give the folder itself, or {key}='{pattern.rstrip('/')}/**'"
    if not files:
        raise UserError(f"{key}={pattern}: {what}; {hint}")
    log.warning("%s=%s: %s; %s", key, pattern, what, hint)


def _files_below(folder: Path, key: str) -> list[str]:
    """All files below a folder; what the search left out is told."""
    found = files_below(folder)
    if found.skipped:
        skipped = Counter(found.skipped.values())
        log.warning("%s=%s: %d skipped (%s)", key, folder, skipped.total(), reasons(skipped))
    return found.names
