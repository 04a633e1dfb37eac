"""Folders of images, one per class, that are decoded as needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import ImageFiles, ImageShape, PublishedDataset, Split
from cnnlab.data.folders import files_below, subfolders
from cnnlab.data.image_files import FORMATS, NO_IMAGE, faults, images_in
from cnnlab.data.locate import SEARCHED, existing_root, find_published
from cnnlab.data.split_folders import Splits, find_splits, named_splits
from cnnlab.errors import UserError

OUTSIDE = "outside the class folders"

Classes = dict[str, list[str]]
"""The image files of each class, both sorted."""


def image_folder(
    *,
    root: str | None = None,
    image_shape: ImageShape,
    folder: str | None = None,
    strict: bool = False,
    splits: Splits = "auto",
) -> PublishedDataset:
    """Images in class folders: DIR/train/CLASS/…, DIR/validation/CLASS/…, DIR/test/CLASS/…, or DIR/CLASS/… for one
    split "train".

    The splits' folders may have other usual names (see `find_splits`). A class folder is searched with all its
    subfolders, through links too (see `files_below`); hidden files and folders are left out. Class names are
    sorted. A file counts as an image by how it begins, not by its name. What was left out is told in `skipped`.

    Args:
        root: DIR, or the folder that holds it under the name `folder`.
        image_shape: (height, width, channels) the images are resized to when they are decoded.
        folder: DIR's published name; with it, `root` may be None to look in $CNNLAB_DATA and ./data.
        strict: refuse a file that is no image instead of leaving it out.
        splits: "auto" takes folders by their names for splits; "none" takes all for classes.

    Raises:
        UserError: there is no such folder, fewer than two classes, a training class without an image, a class that
            is not in the training split, a split without an image, or, if `strict`, a file that is no image.
    """
    base = _find(root, folder)
    folders = find_splits(base, splits)
    skipped: dict[str, dict[str, str]] = {split: {} for split in folders}
    if base not in folders.values():
        skipped["train"] |= dict.fromkeys(images_in(base), OUTSIDE)
    classes = {split: _find_classes(path, strict, skipped[split]) for split, path in folders.items()}
    class_names = tuple(classes["train"])
    if len(class_names) < 2:
        raise UserError(f"{folders['train']}: {_too_few(folders['train'], class_names)}")
    for name in class_names:
        if not classes["train"][name]:
            where = folders["train"] / name
            raise UserError(f"{where}: the class has no {FORMATS} image; add some or remove the folder")
    for split, files in classes.items():
        for name in files:
            if name not in class_names:
                raise UserError(f"{base}: {split} has a class {name} that train has not")
        if not any(files.values()):
            raise UserError(f"{folders[split]}: holds no {FORMATS} image; add some or remove the folder")
    shape = (image_shape[0], image_shape[1], image_shape[2])
    found = {split: _to_split(files, class_names, shape) for split, files in classes.items()}
    return PublishedDataset(class_names, found, skipped=skipped)


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
    folders = named_splits(base) or {"test": base}
    if split not in folders:
        raise UserError(f"split={split}: {base} has no such split, but {', '.join(folders)}")
    skipped: dict[str, str] = {}
    files = _find_classes(folders[split], False, skipped)
    if not files:
        raise UserError(f"{folders[split]}: holds no class folders; expected CLASS/… with images")
    found = _to_split(files, tuple(files), image_shape)
    if not len(found):
        raise UserError(f"{folders[split]}: holds no {FORMATS} image")
    return PublishedDataset(tuple(files), {split: found}, skipped={split: skipped})


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
        hint = "; an .npz file is read by dataset=arrays" if base.suffix == ".npz" else ""
        raise UserError(f"{base}: is no folder{hint}")
    return base


def _too_few(folder: Path, class_names: Sequence[str]) -> str:
    """What is wrong with a folder of fewer than two classes, and a hint."""
    expected = "expected CLASS/… or train/CLASS/… for two classes or more"
    if not class_names:
        images = len(images_in(folder))
        return f"found {f'images ({images}), but ' if images else ''}no class folders; {expected}"
    inner = folder / class_names[0]
    while len(inside := subfolders(inner).names) == 1:
        inner /= inside[0]
    hint = f"; its classes may be those in dataset.root={inner}" if inside else ""
    return f"found only the class {class_names[0]}; {expected}{hint}"


def _find_classes(folder: Path, strict: bool, skipped: dict[str, str]) -> Classes:
    """The images of each class in `folder`; what is left out is added to `skipped`, path to reason."""
    found = subfolders(folder)
    skipped |= found.skipped
    skipped |= dict.fromkeys(images_in(folder), OUTSIDE)
    return {name: _find_images(folder / name, strict, skipped) for name in found.names}


def _find_images(folder: Path, strict: bool, skipped: dict[str, str]) -> list[str]:
    found = files_below(folder)
    skipped |= found.skipped
    images = []
    for path, fault in zip(found.names, faults(found.names), strict=True):
        if fault is None:
            images.append(path)
        elif strict:
            why = "" if fault == NO_IMAGE else f" ({fault})"
            raise UserError(f"{path}: is {NO_IMAGE}{why}; dataset.strict=false leaves such files out")
        else:
            skipped[path] = fault
    return images


def _to_split(files: Mapping[str, Sequence[str]], class_names: tuple[str, ...], image_shape: ImageShape) -> Split:
    paths = np.array([path for name in files for path in files[name]], dtype=str)
    indices = [class_names.index(name) for name in files]
    labels = np.repeat(np.array(indices, np.int32), [len(paths) for paths in files.values()])
    return Split(ImageFiles(paths, image_shape), labels)
