"""What is known of image files from earlier: whether they are whole, and what they were converted to.

It lies in the user's cache directory, never beside the data, and may be removed at any time.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

import PIL
from PIL import Image
from platformdirs import user_cache_path

from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically

log = logging.getLogger(__name__)

_FORMAT = 7  # of the table, and of what images are converted to
_PATIENCE = 30  # seconds, while another process writes
_PART = 500  # paths in a query


@dataclass(frozen=True)
class CheckedImage:
    """A file that was looked at once.

    Attributes:
        source: the file to decode, JPEG or PNG: itself, or what it was converted to; empty where it is no image.
        height, width: of the source, in pixels as they are stored.
        orientation: how its pixels are turned, 1 to 8, as EXIF counts.
        kind: its format and mode as Pillow calls them, for those that were converted; else empty.
        fault: why it is no image that can be read; empty for those that are.
        jpeg: whether the source is a JPEG.
    """

    source: str
    height: int = 0
    width: int = 0
    orientation: int = 1
    kind: str = ""
    fault: str = ""
    jpeg: bool = False


Stamp = tuple[int, int]
"""A file's size in bytes and the time of its last change in nanoseconds."""


def cache_folder() -> Path:
    """Where cnnlab keeps what it can compute again: $XDG_CACHE_HOME/cnnlab, or what the system has for it."""
    return user_cache_path("cnnlab", appauthor=False)


def recall(stamps: Mapping[str, Stamp]) -> dict[str, CheckedImage]:
    """What is known of those files that have not changed since."""
    known = {}
    paths = list(stamps)
    try:
        with closing(_connect()) as database:
            for start in range(0, len(paths), _PART):
                part = paths[start : start + _PART]
                marks = ",".join("?" * len(part))
                for row in database.execute(f"SELECT * FROM images WHERE path IN ({marks})", [*map(os.fsencode, part)]):
                    path, size, changed, source, height, width, orientation, kind, fault, jpeg = row
                    checked = CheckedImage(os.fsdecode(source), height, width, orientation, kind, fault, bool(jpeg))
                    is_there = not checked.kind or Path(checked.source).exists()
                    if stamps[os.fsdecode(path)] == (size, changed) and is_there:
                        known[os.fsdecode(path)] = checked
    except (OSError, sqlite3.Error) as error:
        log.warning("%s: cannot be read (%s); images are checked anew", cache_folder(), error)
    return known


def remember(found: Iterable[tuple[str, Stamp, CheckedImage]]) -> bool:
    """Keep what was found out about files; return whether that can be done, and say so where it cannot."""
    rows = [(os.fsencode(path), *stamp, os.fsencode(each.source), *astuple(each)[1:]) for path, stamp, each in found]
    try:
        with closing(_connect()) as database, database:
            database.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    except (OSError, sqlite3.Error) as error:
        log.warning("%s: cannot be written (%s); images are checked again next time", cache_folder(), error)
        return False
    return True


def store(image: Image.Image, path: str, stamp: Sequence[int]) -> str:
    """Write what a file was converted to and return its name.

    Raises:
        UserError: it cannot be written.
    """
    digest = hashlib.blake2b(os.fsencode(f"{path}\0{stamp}"), digest_size=16).hexdigest()
    converted = cache_folder() / "converted" / f"{digest}.png"
    try:
        with write_atomically(converted) as temporary:
            image.save(temporary, "PNG", icc_profile=None)
    except OSError as error:
        raise UserError(
            f"{converted.parent}: cannot be written ({error.strerror}), and {path} must be converted for TensorFlow; "
            "set XDG_CACHE_HOME to a folder that can"
        ) from error
    return str(converted)


def _connect() -> sqlite3.Connection:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"images-{_FORMAT}-pillow-{PIL.__version__}.sqlite"  # another Pillow may read what this one does not
    database = sqlite3.connect(folder / name, timeout=_PATIENCE)
    database.execute(
        "CREATE TABLE IF NOT EXISTS images (path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, source BLOB, "
        "height INTEGER, width INTEGER, orientation INTEGER, kind TEXT, fault TEXT, jpeg INTEGER)"
    )
    return database
