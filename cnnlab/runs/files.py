"""Replacing files so that a reader, or a run killed at any moment, sees the old or the new one, never half."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it becomes `path`.

    The content reaches the disk before the name does, so that even a power cut leaves a whole file. The
    suffix stays the same (Keras and Matplotlib choose the format by it). If the block raises, `path` is
    untouched and the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # a full disk names no file by itself
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A name beside `path` that no other process has; the process ids of two containers, or hosts, may be the same."""
    return path.with_name(f".tmp-{secrets.token_hex(4)}-{path.name}")


def require_empty(directory: Path) -> None:
    """Raise UserError where a folder for results, which the command line names, holds something already."""
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(f"hydra.run.dir={directory}: is not empty, and results would be written over; choose another")


def require_writable(run: Path) -> None:
    """Raise UserError where no file can be made in a run directory; asked before work whose results belong there."""
    probe = _temporary(run / "probe")
    try:
        probe.touch()
    except OSError as error:
        raise UserError(
            f"run={run}: cannot be written: {error.strerror}; copy the run to a folder of your own"
        ) from error
    probe.unlink()


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; when the block ends well, it takes the place of `path`.

    If the block raises, what was at `path` is untouched and the new folder is removed.
    """
    with temporary_folder(path) as temporary:
        yield temporary
        move_folder(temporary, path)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which is removed after the block unless it was moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_folder(new: Path, path: Path) -> None:
    """Let the folder `new`, which lies beside `path`, take its place, whether or not something is there."""
    old = _temporary(path)
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def replace_files(folder: Path, last: str) -> Iterator[Path]:
    """Yield an empty folder; when the block ends well, its files come into `folder`, and replace those there.

    Where `last` is in `folder`, the others belong to it: before they come, the `last` that was there goes. If the
    block raises, `folder` is untouched.

    Args:
        folder: made where it is missing.
        last: the name of one of the files.
    """
    try:
        with temporary_folder(folder / last) as temporary:
            yield temporary
            (folder / last).unlink(missing_ok=True)
            for file in sorted(temporary.iterdir(), key=lambda file: file.name == last):
                file.replace(folder / file.name)
    except BaseException:
        with suppress(OSError):  # it was there before
            folder.rmdir()
        raise


def readable(name: str) -> str:
    """A file name for people: bytes that are not UTF-8 (Python holds them as lone surrogates) as escapes like \\xe9."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def numbered_folder(path: Path, is_ours: Callable[[Path], bool] = lambda folder: False) -> Path:
    """Make the first of NAME, NAME-2, NAME-3, … that is free, or choose the one that holds what may be replaced.

    No other process that asks at the same time is given one that was free.

    Args:
        path: the folder NAME.
        is_ours: whether a folder that is there holds what may be replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = (path.name + (f"-{number}" if number > 1 else "") for number in count(1))
    return next(folder for name in names if _is_made(folder := path.with_name(name)) or is_ours(folder))


def _is_made(folder: Path) -> bool:
    """Whether a folder was not there and now is."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files that killed processes left; no other process may be writing there."""
    for path in directory.glob(".tmp-*-*"):
        if path.is_file():
            path.unlink()


def digest(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's files with their names."""
    sha256 = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            sha256.update(f"{file.relative_to(path)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return sha256.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def write_table(path: Path, table: "pd.DataFrame", *, index: bool = False) -> None:
    """Write a table as CSV, six significant digits, atomically; file names that are not UTF-8 keep their bytes.

    Args:
        path: of the file.
        table: its content.
        index: whether its index is the first column.
    """
    with write_atomically(path) as temporary:
        table.to_csv(temporary, index=index, float_format="%.6g", errors="surrogateescape")
