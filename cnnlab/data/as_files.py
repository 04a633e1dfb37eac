"""Images that a notebook has at hand, as files: so they take the way that all files take."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from cnnlab.data.checks import check_pixels
from cnnlab.errors import UserError

Images = str | Path | np.ndarray | Sequence[str | Path]
"""A file, a folder or a glob pattern; several files; or uint8 pixels (n, H, W, C), (H, W, C) for one, C 1 or 3."""


@contextmanager
def as_files(images: Images) -> Iterator[tuple[str, list[str] | None]]:
    """Yield what stands for images on a command line; where that is a temporary folder, also the names of the images.

    The folder has a numbered subfolder for each image, which holds a link to its file, or a PNG of its pixels.

    Raises:
        UserError: a file is missing, or there are no such pixels.
    """
    if isinstance(images, str | Path):
        yield str(images), None
        return
    if isinstance(images, np.ndarray) and images.ndim == 2:
        raise UserError(f"pixels of shape {images.shape}: a grey image has one channel, images[..., np.newaxis]")
    with TemporaryDirectory() as folder:
        if isinstance(images, np.ndarray):
            names = _save_pixels(images, Path(folder))
        else:
            names = _link_files(_paths(images), Path(folder))
        yield folder, names


def image_numbers(images: object) -> int | list[int] | None:
    """How many images, or their positions; None of what is neither.

    Raises:
        UserError: positions are mixed with something else.
    """
    if isinstance(images, Integral):
        return int(images)
    if isinstance(images, np.ndarray):
        return images.tolist() if images.ndim == 1 and images.dtype.kind in "iu" and images.size else None
    if not isinstance(images, Sequence) or not any(isinstance(each, Integral) for each in images):
        return None
    other = next((each for each in images if not isinstance(each, Integral)), None)
    if other is not None:
        raise UserError(f"images={images}: {other} is no position in the split; give positions alone, or files alone")
    return [int(each) for each in images]


def _save_pixels(images: np.ndarray, folder: Path) -> list[str]:
    if images.ndim == 3 and images.shape[-1] in (1, 3, 4):  # one image; else, grey images without their channel
        images = images[np.newaxis]
    check_pixels(images, "pixels")
    for number, pixels in enumerate(images):
        file = _subfolder(folder, number) / f"{number}.png"
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(file)
    return [str(number) for number in range(len(images))]


def _paths(images: object) -> list[str]:
    paths = []
    for image in images if isinstance(images, Iterable) else [images]:
        if not isinstance(image, str | Path):
            raise UserError(
                f"images: {type(image).__name__} is no name of a file; pixels are one NumPy array, "
                "uint8 (n, height, width, channels), such as np.asarray gives of a picture"
            )
        paths.append(str(image))
    if not paths:
        raise UserError("images=[]: give a file at least")
    return paths


def _link_files(paths: list[str], folder: Path) -> list[str]:
    for number, path in enumerate(paths):
        file = Path(path).expanduser().absolute()
        if not file.is_file():
            what = "is a folder; give it alone, or its files" if file.is_dir() else "no such file"
            raise UserError(f"images={path}: {what}")
        visible = file.name.lstrip(".") or file.name  # a hidden file that is named is meant
        (_subfolder(folder, number) / visible).symlink_to(file)
    return paths


def _subfolder(folder: Path, number: int) -> Path:
    subfolder = folder / f"{number:06d}"
    subfolder.mkdir()
    return subfolder
