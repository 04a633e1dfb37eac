"""Searching folders: links are followed, each folder is searched once, and what is left out is told."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from cnnlab.errors import UserError

JUNK = frozenset({"__MACOSX", "@eaDir"})
"""Folders that macOS and Synology add to those of their users, with copies and thumbnails of the files."""

HIDDEN = "hidden"
BROKEN_LINK = "broken link"
LOOP = "link to a folder above it"
TWICE = "second way to the same folder"


@dataclass
class Found:
    """What a search has found.

    Attributes:
        names: sorted; of `files_below` paths that begin with the folder's own, of `subfolders` bare names.
        skipped: what was left out, path to reason; the path of a folder ends with a slash.
    """

    names: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def subfolders(folder: Path | str) -> Found:
    """The names of the folders in `folder`, links to folders among them.

    Left out are hidden ones, links that lead nowhere, and links to a folder that holds `folder` or is it.

    Raises:
        OSError: `folder` cannot be read.
    """
    found = Found()
    place = os.path.realpath(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if not Path(path).is_dir():
                if entry.is_symlink() and not is_hidden(entry.name) and not Path(path).exists():
                    found.skipped[path] = BROKEN_LINK
            elif is_hidden(entry.name):
                found.skipped[f"{path}/"] = HIDDEN
            elif entry.is_symlink() and _holds(path, place):
                found.skipped[f"{path}/"] = LOOP
            else:
                found.names.append(entry.name)
    found.names.sort()
    return found


def files_below(folder: Path | str) -> Found:
    """All files in `folder` and its subfolders.

    Links to folders are followed, after all that is there without them. Left out are hidden files and folders,
    links to a folder that holds what is being searched, and further ways to a folder that was searched already: no
    file is found twice, and loops end.

    Raises:
        UserError: a folder cannot be read.
    """
    found = Found()
    start = os.path.realpath(folder)
    searched: set[str] = set()
    waiting = [str(folder)]
    while waiting:
        for directory, folders, files in os.walk(waiting.pop(0), onerror=_refuse):
            place = os.path.realpath(directory)
            if place in searched:
                found.skipped[f"{directory}/"] = TWICE
                folders.clear()
                continue
            searched.add(place)
            for name in [*folders]:
                path = f"{directory}/{name}"
                if is_hidden(name):
                    found.skipped[f"{path}/"] = HIDDEN
                    folders.remove(name)
                elif Path(path).is_symlink():
                    if _holds(path, place) or _holds(path, start):
                        found.skipped[f"{path}/"] = LOOP
                    else:
                        waiting.append(path)
            for name in files:
                path = f"{directory}/{name}"
                if is_hidden(name):
                    found.skipped[path] = HIDDEN
                else:
                    found.names.append(path)
    found.names.sort()
    return found


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden by its name, or is one that an operating system adds (`JUNK`)."""
    return name.startswith(".") or name in JUNK


def _holds(link: str, place: str) -> bool:
    """Whether the folder that `link` leads to is `place`, a real path, or one above it."""
    target = os.path.realpath(link)
    return os.path.commonpath([target, place]) == target


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
