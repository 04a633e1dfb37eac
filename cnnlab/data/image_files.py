"""Which files are images that can be read: told by what they hold, not by their names, before anything uses them."""

import errno
import logging
import os
import re
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from cnnlab.data.conversion import all_16_bits_seen, as_seen, is_cut_to_8_bits, is_plain
from cnnlab.data.dataset import ImageFiles, ImageShape, Resize
from cnnlab.data.folders import BROKEN_LINK, is_hidden
from cnnlab.data.image_cache import CheckedImage, Stamp, recall, remember, store
from cnnlab.errors import UserError
from cnnlab.reporting.words import reasons

log = logging.getLogger(__name__)

FORMATS = "JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP or PPM"
EMPTY = "empty"

OnError = Literal["skip", "stop"]
"""What happens to a file that is damaged or no image: it is left out, or the command ends."""

NO_IMAGE = f"no {FORMATS} image"
SURPLUS = "surplus bytes"
"""After the pixels and before the end of a JPEG: some cameras and programs leave them, and viewers pass over them."""

_PILLOWS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM")
_LARGEST = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # pixels, from which on Pillow takes an image for an attack
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)
_FILES_PER_TASK = 64
_KEPT_AT_ONCE = 8192  # files, after which what was found out of them outlives Ctrl-C

warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # at half of the limit above


def check_images(paths: Sequence[str]) -> list[CheckedImage]:
    """Look at each file as a whole: whether it can be read, how it is turned, and whether it must be converted.

    What is known from an earlier check of the same file is not found out again.

    Args:
        paths: files, which are read in parallel.

    Raises:
        UserError: a file may not be read, or a conversion cannot be kept.
    """
    absolute = [_lasting(path) for path in paths]
    stamps = {path: stamp for path in absolute if (stamp := _stamp(path)) is not None}
    known = recall(stamps)
    new = [path for path in stamps if path not in known]
    if len(new) > 1000:
        log.info("checking %s images …", f"{len(new):,}")
    is_kept = True
    with ThreadPoolExecutor() as pool:  # Pillow lets go of the interpreter while it decodes
        for start in range(0, len(new), _KEPT_AT_ONCE):
            found = _check_all(new[start : start + _KEPT_AT_ONCE], stamps, pool)
            is_kept = is_kept and remember((path, stamps[path], each) for path, each in found.items())
            known |= found
    broken = CheckedImage("", fault=BROKEN_LINK)
    return [known.get(path, broken) for path in absolute]


def check_given(files: Sequence[str], key: str) -> list[CheckedImage]:
    """`check_images` for files that `key` of the configuration names; what is no image, or converted, is told.

    Raises:
        UserError: none of them is an image that can be read, or as `check_images`.
    """
    checked = check_images(files)
    faults = Counter(each.fault for each in checked if each.fault)
    if faults.total() == len(files):
        raise UserError(f"{key}: no image among {len(files)} file(s) ({reasons(faults)})")
    if faults:
        log.warning(
            "%s: %d of %d files are no images that can be read (%s)", key, faults.total(), len(files), reasons(faults)
        )
    tell_changes(key, checked)
    return checked


def image_files(
    paths: Sequence[str],
    checked: Sequence[CheckedImage],
    image_shape: ImageShape,
    resize: Resize,
    resize_size: int | None = None,
) -> ImageFiles:
    """The files, all of which have been found to be images; see `ImageFiles`."""
    return ImageFiles(
        np.array(paths, dtype=object),  # as text, each would be as wide as the longest, 4 bytes a letter
        np.array([each.source for each in checked], dtype=object),
        np.array([(each.height, each.width) for each in checked], dtype=np.int32).reshape(-1, 2),
        np.array([each.orientation for each in checked], dtype=np.uint8),
        np.array([each.jpeg for each in checked], dtype=bool),
        image_shape,
        resize,
        resize_size,
    )


def refuse_faults(faults: Mapping[str, str], on_error: OnError) -> None:
    """Raise UserError where `on_error` is "stop" and a file has a fault; files with their faults are given."""
    if faults and on_error == "stop":
        path, fault = next(iter(faults.items()))
        others = len(faults) - 1
        more = f"; so {'is 1 more file' if others == 1 else f'are {others:,} more files'}" if others else ""
        raise UserError(f"{path}: {fault}{more}; dataset.on_error=skip leaves such files out")


def require_utf8(paths: Iterable[str]) -> None:
    """Raise UserError where TensorFlow could not take the name of a file."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{os.fsencode(path)!r}: the file name is not UTF-8; rename it") from error


def tell_changes(name: str, checked: Iterable[CheckedImage]) -> None:
    """Say how many images were converted, and how many are turned upright, of those called `name`."""
    checked = [each for each in checked if not each.fault]
    converted = Counter(each.kind for each in checked if each.kind)
    if converted:
        log.info("%s: %d converted to 8-bit grey or RGB (%s)", name, converted.total(), reasons(converted))
    turned = sum(each.orientation != 1 for each in checked)
    if turned:
        log.info("%s: %d turned upright, as their EXIF data say", name, turned)


def images_in(folder: Path | str) -> list[str]:
    """The image files that lie in `folder` itself.

    Raises:
        OSError: the folder cannot be read.
        UserError: as `check_images`.
    """
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not is_hidden(entry.name))
    paths = [path for name in names if Path(path := f"{folder}/{name}").is_file()]
    return [path for path, each in zip(paths, check_images(paths), strict=True) if not each.fault]


def _check_all(paths: Sequence[str], stamps: Mapping[str, Stamp], pool: ThreadPoolExecutor) -> dict[str, CheckedImage]:
    """What each file turns out to be, looked at in parallel."""
    parts = [paths[start : start + _FILES_PER_TASK] for start in range(0, len(paths), _FILES_PER_TASK)]
    results = pool.map(lambda part: {path: _check(path, stamps[path]) for path in part}, parts)
    return {path: each for part in results for path, each in part.items()}


def _lasting(path: str) -> str:
    """The file that a path leads to, by which is kept what is found out of it: a link may be gone soon."""
    absolute = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118, for each of all files
    return os.path.realpath(absolute) if os.path.islink(absolute) and os.path.exists(absolute) else absolute  # noqa: PTH110, PTH114


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116, a hundred thousand times
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP) and Path(path).is_symlink():
            return None
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return status.st_size, status.st_mtime_ns


def _check(path: str, stamp: Stamp) -> CheckedImage:
    if not Path(path).is_file():  # a pipe must not make the search wait
        return CheckedImage("", fault=NO_IMAGE)
    try:
        return check_image(path, path, stamp)
    except OSError as error:  # the drive's fault, or that of rights: may pass
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def check_image(file: str | bytes, name: str, stamp: Stamp) -> CheckedImage:
    """Decode an image, which tells damage, and convert it where TensorFlow would not read it as viewers do.

    Args:
        file: a file's name, or what it holds.
        name: what tells the image from all others, and is its `source` where it needs no conversion.
        stamp: of the file; with the name it tells what the image is converted to.

    Raises:
        OSError: the file cannot be read.
        UserError: what it is converted to cannot be written.
    """
    if not stamp[0]:
        return CheckedImage("", fault=EMPTY)
    try:
        with Image.open(file if isinstance(file, str) else BytesIO(file), formats=_known_formats()) as image:
            return _read(image, file, name, stamp)
    except UnidentifiedImageError:
        return CheckedImage("", fault=NO_IMAGE)
    except Image.DecompressionBombError:
        return CheckedImage("", fault=f"more than {_LARGEST:,} pixels")
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).partition("(")[0].strip()  # without numbers, so that equal faults are counted as one
        return CheckedImage("", fault=f"damaged: {reason or type(error).__name__}")


def _read(image: ImageFile, file: str | bytes, name: str, stamp: Stamp) -> CheckedImage:
    is_cut = is_cut_to_8_bits(image)
    if image.format not in ("JPEG", "MPO"):  # whose pixels TensorFlow decodes
        image.load()  # Pillow turns a TIFF upright by itself, and then knows no orientation any more
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    flaw = _jpeg_flaw(file) if image.format in ("JPEG", "MPO") else ""
    if flaw and flaw != SURPLUS:
        return CheckedImage("", fault=f"damaged: {flaw}")
    if is_cut and image.format != "PNG":
        return CheckedImage("", fault=f"16-bit colour in a {image.format}, of which 8 bits can be read; save it as PNG")
    if is_cut:
        content = Path(file).read_bytes() if isinstance(file, str) else file
        source, kind = store(all_16_bits_seen(content), name, stamp), f"PNG {image.mode} of 16 bits"
    elif is_plain(image) and not flaw:
        source, kind = name, ""
    else:
        kind = f"{image.format} with {flaw}" if flaw else f"{image.format} {image.mode}"
        source = store(as_seen(image), name, stamp)
    return CheckedImage(
        source, image.height, image.width, orientation, kind, jpeg=not kind and image.format in ("JPEG", "MPO")
    )


def _jpeg_flaw(file: str | bytes) -> str:
    """What libjpeg complains of in a file, without numbers, or nothing.

    Pillow and TensorFlow go on after most of it, the one in silence, the other with a line on the terminal each time.
    """
    content = Path(file).read_bytes() if isinstance(file, str) else file
    try:
        # all of the file is read, but an eighth of its rows and columns is computed
        simplejpeg.decode_jpeg(content, "GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as error:
        flaw = str(error).removeprefix("Corrupt JPEG data: ")
        return SURPLUS if "extraneous bytes before marker 0xd9" in flaw else re.sub(r" ?\b(0x\w+|\d+)\b", "", flaw)
    return ""


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _PILLOWS if name in Image.OPEN]
