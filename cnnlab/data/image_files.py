"""Which files are images: a file counts as one by how it begins, not by its name."""

import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cnnlab.data.folders import BROKEN_LINK, is_hidden
from cnnlab.errors import UserError

FORMATS = "JPEG, PNG, BMP or GIF"
EMPTY = "empty"
NO_IMAGE = f"no {FORMATS} image"

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
_SIGNATURE_LENGTH = max(map(len, _SIGNATURES))
_FILES_PER_TASK = 512
_THREADS = 16  # opening files is waiting, above all on network drives


def faults(paths: Sequence[str]) -> list[str | None]:
    """Why each file is no image that can be read; None for those that are.

    Args:
        paths: files, which are opened in parallel.

    Raises:
        UserError: a file may not be read, or an image's name is not UTF-8.
    """
    parts = [paths[start : start + _FILES_PER_TASK] for start in range(0, len(paths), _FILES_PER_TASK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [fault for part in pool.map(_faults, parts) for fault in part]


def images_in(folder: Path | str) -> list[str]:
    """The image files that lie in `folder` itself.

    Raises:
        OSError: the folder cannot be read.
        UserError: as `faults`.
    """
    paths = sorted(_files(folder))
    return [path for path, fault in zip(paths, faults(paths), strict=True) if fault is None]


def _files(folder: Path | str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if not is_hidden(entry.name) and Path(path).is_file():  # unlike the entry's own, false for a link to itself
                yield path


def _faults(paths: Sequence[str]) -> list[str | None]:
    return [_fault(path) for path in paths]


def _fault(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not make the search wait
        try:
            start = os.read(descriptor, _SIGNATURE_LENGTH)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP) and Path(path).is_symlink():
            return BROKEN_LINK
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not start.startswith(_SIGNATURES):
        return NO_IMAGE if start else EMPTY
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{os.fsencode(path)!r}: the file name is not UTF-8; rename it") from error
    return None
