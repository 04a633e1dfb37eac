"""Folders of images, one per class, that are decoded as needed."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import ImageFiles, ImageShape, PublishedDataset, Split
from cnnlab.data.locate import SEARCHED, existing_root, find_published
from cnnlab.errors import UserError

logger = logging.getLogger(__name__)

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
FORMATS = "JPEG, PNG, BMP or GIF"
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
SIGNATURE_LENGTH = max(map(len, SIGNATURES))
FILES_PER_TASK = 512
THREADS = 16  # opening files is waiting, above all on network drives


def image_folder(
    *, root: str | None = None, image_shape: ImageShape, folder: str | None = None, strict: bool = False
) -> PublishedDataset:
    """Images in class folders: DIR/train/CLASS/…, DIR/validation (or val)/CLASS/…, DIR/test/CLASS/…, or
    DIR/CLASS/… for one split "train".

    A class folder is searched with all its subfolders; hidden files and folders are left out. Class names
    are sorted. A file counts as an image by how it begins, not by its name.

    Args:
        root: DIR, or the folder that holds it under the name `folder`.
        image_shape: (height, width, channels) the images are resized to when they are decoded.
        folder: DIR's published name; with it, `root` may be None to look in $CNNLAB_DATA and ./data.
        strict: refuse a file that is no image instead of leaving it out.

    Raises:
        UserError: there is no such folder, no class, a class without an image, a class that is not in the
            training split, or, if `strict`, a file that is no image.
    """
    base = _find(root, folder)
    scan = _Scan(strict)
    classes = {split: scan.classes(path) for split, path in _split_folders(base).items()}
    scan.report(base)
    class_names = tuple(classes["train"])
    if len(class_names) < 2:
        found = f"only the class {class_names[0]}" if class_names else "no class folders"
        raise UserError(f"{base}: found {found}; expected CLASS/… or train/CLASS/… for two classes or more")
    splits = {}
    for split, files in classes.items():
        for name in files:
            if name not in class_names:
                raise UserError(f"{base}: {split} has a class {name} that train has not")
        splits[split] = _to_split(files, class_names, (image_shape[0], image_shape[1], image_shape[2]))
    return PublishedDataset(class_names, splits)


def split_of_folders(base: Path, split: str, image_shape: ImageShape) -> PublishedDataset:
    """One split of images in class folders, for a model that knows its classes already; one class will do.

    Args:
        base: DIR of `image_folder`, which needs no training split here; or class folders alone, which are the split
            "test".
        split: which.
        image_shape: (height, width, channels) the images are resized to when they are decoded.

    Returns:
        That split alone.

    Raises:
        UserError: there is no such split, no class folder, a class without an image, or a folder cannot be read.
    """
    folders = _folders_of_splits(base) or {"test": base}
    if split not in folders:
        raise UserError(f"split={split}: {base} has no such split, but {', '.join(folders)}")
    scan = _Scan(strict=False)
    files = scan.classes(folders[split])
    scan.report(folders[split])
    if not files:
        raise UserError(f"{folders[split]}: holds no class folders; expected CLASS/… with images")
    return PublishedDataset(tuple(files), {split: _to_split(files, tuple(files), image_shape)})


def _find(root: str | None, folder: str | None) -> Path:
    if folder is None:
        if root is None:
            raise UserError("dataset.root is null: set it to the folder of class folders")
        base = existing_root(root)
    else:
        found = find_published(root, [folder], "train")
        if found is None:
            raise UserError(f"{folder}: not in {SEARCHED}; set dataset.root=DIR to the folder that holds {folder}/")
        base = found
    if not base.is_dir():
        raise UserError(f"{base}: is no folder")
    return base


def _split_folders(base: Path) -> dict[str, Path]:
    """The folder of each split. A folder called `train` that holds no folders is a class of that name."""
    folders = _folders_of_splits(base)
    if not folders:
        return {"train": base}
    if "train" not in folders:
        raise UserError(f"{base}: has {', '.join(path.name for path in folders.values())}/ but no train/CLASS/")
    return folders


def _folders_of_splits(base: Path) -> dict[str, Path]:
    return {
        split: base / name
        for name, split in SPLIT_FOLDERS.items()
        if (base / name).is_dir() and _subfolders(base / name)
    }


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _to_split(files: dict[str, list[str]], class_names: tuple[str, ...], image_shape: ImageShape) -> Split:
    paths = np.array([path for name in files for path in files[name]], dtype=str)
    indices = [class_names.index(name) for name in files]
    labels = np.repeat(np.array(indices, np.int32), [len(paths) for paths in files.values()])
    return Split(ImageFiles(paths, image_shape), labels)


@dataclass
class _Scan:
    """A search for images that keeps count of the files that are none."""

    strict: bool
    seen: int = 0
    others: list[str] = field(default_factory=list)

    def classes(self, folder: Path) -> dict[str, list[str]]:
        """The images of each class, classes and images sorted."""
        return {name: self._images(folder / name) for name in _subfolders(folder)}

    def report(self, base: Path) -> None:
        if self.others:
            logger.warning(
                "%s: %d of %d files are no %s and were left out, the first: %s",
                base, len(self.others), self.seen, FORMATS, self.others[0],
            )  # fmt: skip

    def _images(self, folder: Path) -> list[str]:
        paths = _files_below(folder)
        parts = [paths[start : start + FILES_PER_TASK] for start in range(0, len(paths), FILES_PER_TASK)]
        with ThreadPoolExecutor(THREADS) as pool:
            is_image = [known for part in pool.map(_are_images, parts) for known in part]
        others = [path for path, known in zip(paths, is_image, strict=True) if not known]
        if others and self.strict:
            raise UserError(f"{others[0]}: is no {FORMATS} image (dataset.strict=false leaves such files out)")
        if len(others) == len(paths):
            raise UserError(f"{folder}: the class has no {FORMATS} image; add some or remove the folder")
        self.seen += len(paths)
        self.others += others
        return [path for path, known in zip(paths, is_image, strict=True) if known] if others else paths


def _files_below(folder: Path) -> list[str]:
    """All files in `folder` and its subfolders, sorted, hidden ones left out."""

    def fail(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    paths = []
    for directory, subfolders, files in os.walk(folder, onerror=fail):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        paths += [f"{directory}/{name}" for name in files if not name.startswith(".")]
    return sorted(paths)


def _are_images(paths: list[str]) -> list[bool]:
    return [_is_image(path) for path in paths]


def _is_image(path: str) -> bool:
    try:
        path.encode()
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not make the scan wait
        try:
            return os.read(descriptor, SIGNATURE_LENGTH).startswith(SIGNATURES)
        finally:
            os.close(descriptor)
    except UnicodeEncodeError as error:
        raise UserError(f"{os.fsencode(path)!r}: the file name is not UTF-8; rename it") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
