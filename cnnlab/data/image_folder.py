"""Folders of images, one per class, that are decoded as needed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import ImageShape, PublishedDataset, Resize, Split
from cnnlab.data.folders import files_below, subfolders
from cnnlab.data.groups import groups_of_names
from cnnlab.data.image_cache import CheckedImage
from cnnlab.data.image_files import (
    FORMATS,
    OnError,
    check_images,
    image_files,
    images_in,
    refuse_faults,
    require_utf8,
    tell_changes,
)
from cnnlab.data.locate import SEARCHED, existing_root, find_published
from cnnlab.data.split_folders import Splits, find_splits, named_splits
from cnnlab.errors import UserError

OUTSIDE = "outside the class folders"

Classes = dict[str, list[str]]
"""The files of each class, both sorted."""


def image_folder(
    *,
    root: str | None = None,
    image_shape: ImageShape,
    folder: str | None = None,
    splits: Splits = "auto",
    group: str | None = None,
    resize: Resize = "crop",
    on_error: OnError = "skip",
) -> PublishedDataset:
    """Images in class folders: DIR/train/CLASS/…, DIR/validation/CLASS/…, DIR/test/CLASS/…, or DIR/CLASS/… for one
    split "train".

    The splits' folders may have other usual names (see `find_splits`). A class folder is searched with all its
    subfolders, through links too (see `files_below`); hidden files and folders are left out. Class names are
    sorted. A file counts as an image by what it holds, not by its name. What was left out is told in `skipped`.

    Args:
        root: DIR, or the folder that holds it under the name `folder`.
        image_shape: (height, width, channels) the images are brought to when they are decoded.
        folder: DIR's published name; with it, `root` may be None to look in $CNNLAB_DATA and ./data.
        splits: "auto" takes folders by their names for splits; "none" takes all for classes.
        group: a regular expression that is searched for in the path of each file below its class folder: images for
            which its first pair of parentheses holds the same are a group, which must not be in two splits.
        resize: see `Resize`.
        on_error: "skip" leaves out a file that is no image or damaged, "stop" refuses it.

    Raises:
        UserError: there is no such folder, fewer than two classes, a training class without an image, a class that
            is not in the training split, a split without an image, or, if `on_error` is "stop", a file that is no
            image or a damaged one.
    """
    base = _find(root, folder)
    folders = find_splits(base, splits)
    skipped: dict[str, dict[str, str]] = {split: {} for split in folders}
    if base not in folders.values():
        skipped["train"] |= dict.fromkeys(images_in(base), OUTSIDE)
    files = {split: _find_files(path, skipped[split]) for split, path in folders.items()}
    checked = _check(files.values())
    classes = {split: _images(files[split], checked, on_error, skipped[split]) for split in folders}
    class_names = tuple(classes["train"])
    if len(class_names) < 2:
        raise UserError(f"{folders['train']}: {_too_few(folders['train'], class_names)}")
    for name in class_names:
        if not classes["train"][name]:
            where = folders["train"] / name
            raise UserError(f"{where}: the class has no {FORMATS} image; add some or remove the folder")
    for split, images in classes.items():
        for name in images:
            if name not in class_names:
                raise UserError(f"{base}: {split} has a class {name} that train has not")
        if not any(images.values()):
            raise UserError(f"{folders[split]}: holds no {FORMATS} image; add some or remove the folder")
    tell_changes(base.name, checked.values())
    found = {split: _to_split(images, checked, class_names, image_shape, resize) for split, images in classes.items()}
    if group is not None:
        found = _with_groups(found, folders, classes, group)
    return PublishedDataset(class_names, found, skipped=skipped, folder=base.absolute())


def split_of_folders(base: Path, split: str, image_shape: ImageShape, resize: Resize) -> PublishedDataset:
    """One split of images in class folders, for a model that knows its classes already; one class will do.

    Args:
        base: DIR of `image_folder`, which needs no training split here; or class folders alone, which are the split
            "test".
        split: which.
        image_shape: (height, width, channels) the images are brought to when they are decoded.
        resize: see `Resize`.

    Returns:
        That split alone.

    Raises:
        UserError: there is no such split, no class folder, no image in any, or a folder cannot be read.
    """
    folders = named_splits(base) or {"test": base}
    if split not in folders:
        raise UserError(f"split={split}: {base} has no such split, but {', '.join(folders)}")
    skipped: dict[str, str] = {}
    files = _find_files(folders[split], skipped)
    if not files:
        raise UserError(f"{folders[split]}: holds no class folders; expected CLASS/… with images")
    checked = _check([files])
    tell_changes(base.name, checked.values())
    found = _to_split(_images(files, checked, "skip", skipped), checked, tuple(files), image_shape, resize)
    if not len(found):
        raise UserError(f"{folders[split]}: holds no {FORMATS} image")
    return PublishedDataset(tuple(files), {split: found}, skipped={split: skipped}, folder=base.absolute())


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
        readers = {".npz": "arrays", ".csv": "table", ".tsv": "table", ".parquet": "table"}
        reader = readers.get(base.suffix.lower())
        hint = f"; such files are read by dataset={reader}" if reader else ""
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


def _find_files(folder: Path, skipped: dict[str, str]) -> Classes:
    """The files of each class in `folder`; what is left out is added to `skipped`, path to reason."""
    found = subfolders(folder)
    skipped |= found.skipped
    skipped |= dict.fromkeys(images_in(folder), OUTSIDE)
    files: Classes = {}
    for name in found.names:
        below = files_below(folder / name)
        skipped |= below.skipped
        files[name] = below.names
    return files


def _check(splits: Iterable[Classes]) -> dict[str, CheckedImage]:
    """What every file turns out to be, looked at all at once."""
    paths = [path for classes in splits for files in classes.values() for path in files]
    return dict(zip(paths, check_images(paths), strict=True))


def _images(
    classes: Classes, checked: Mapping[str, CheckedImage], on_error: OnError, skipped: dict[str, str]
) -> Classes:
    """The files that are whole images; the others are added to `skipped`."""
    faults = {path: fault for files in classes.values() for path in files if (fault := checked[path].fault)}
    refuse_faults(faults, on_error)
    skipped |= faults
    images = {name: [path for path in files if path not in faults] for name, files in classes.items()}
    require_utf8(path for files in images.values() for path in files)
    return images


def _to_split(
    classes: Classes,
    checked: Mapping[str, CheckedImage],
    class_names: tuple[str, ...],
    image_shape: ImageShape,
    resize: Resize,
) -> Split:
    paths = [path for files in classes.values() for path in files]
    labels = np.repeat([class_names.index(name) for name in classes], [len(files) for files in classes.values()])
    images = image_files(paths, [checked[path] for path in paths], image_shape, resize)
    return Split(images, labels.astype(np.int32))


def _below(classes: Classes, folder: Path) -> list[str]:
    """The path of each file below its class folder."""
    return [path.removeprefix(f"{folder / name}/") for name, files in classes.items() for path in files]


def _with_groups(
    splits: Mapping[str, Split], folders: Mapping[str, Path], classes: Mapping[str, Classes], pattern: str
) -> dict[str, Split]:
    """The splits with the groups that a pattern finds in paths below the class folders."""
    paths = [path for split in splits for files in classes[split].values() for path in files]
    groups = groups_of_names(
        [name for split in splits for name in _below(classes[split], folders[split])], paths, pattern
    )
    ends = np.cumsum([len(split) for split in splits.values()])[:-1]
    return {
        name: replace(split, groups=part)
        for (name, split), part in zip(splits.items(), np.split(groups, ends), strict=True)
    }
