"""Which folders of a dataset hold its splits, and which its classes."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from cnnlab.data.folders import subfolders
from cnnlab.data.image_files import images_in
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

Splits = Literal["auto", "none"]

ALIASES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""What the folders of the splits are called, in upper or lower case; the split's own name comes first."""

SPLIT_OF = {alias: split for split, aliases in ALIASES.items() for alias in aliases}
_HINT = "dataset.splits=none learns such folders as classes"


def find_splits(base: Path, splits: Splits = "auto") -> dict[str, Path]:
    """The folder of each split, below which each folder is a class.

    A folder is a split by its name (`ALIASES`) where `base` has a train/ with folders in it. Where it has none,
    folders of such names without folders in them are classes like the others beside them. What is taken for
    something else than its name says, and what is not used, is told.

    Args:
        base: the folder of the dataset.
        splits: "auto" as above; "none" takes every folder for a class.

    Returns:
        "train" always, which is `base` itself where its folders are the classes.

    Raises:
        UserError: two folders name one split, or the folders look like splits, but none of them is train/CLASS/.
        OSError: a folder cannot be read.
    """
    if splits == "none":
        return {"train": base}
    inside = {name: subfolders(base / name).names for name in subfolders(base).names}
    named = _by_split(base, [*inside])
    if not named:
        return {"train": base}
    usable = {split: name for split, name in named.items() if inside[name]}
    if "train" in usable:
        _tell_layout(base, usable, inside)
        return {split: base / name for split, name in usable.items()}
    classes = [name for name in inside if name not in named.values()]
    if usable or not classes:
        looks = "look like splits" if len(named) > 1 else "looks like a split"
        raise UserError(
            f"{base}: {_listed(named.values())} {looks}, but there is no train/ with class folders (train/CLASS/…); "
            f"make it; {_HINT}"
        )
    log.info(
        "%s: %s taken for %s like %s, since there is no train/CLASS/",
        base, _are(named.values()), "classes" if len(named) > 1 else "a class", _listed(classes),
    )  # fmt: skip
    return {"train": base}


def named_splits(base: Path) -> dict[str, Path]:
    """The folder of each split that the folders of `base` name, where it has class folders; empty where none does.

    Raises:
        UserError: two folders name one split.
    """
    named = _by_split(base, subfolders(base).names)
    return {split: base / name for split, name in named.items() if subfolders(base / name).names}


def _by_split(base: Path, names: Sequence[str]) -> dict[str, str]:
    """The folder whose name stands for a split, by split, in the order of `ALIASES`."""
    found = {}
    for split in ALIASES:
        folders = [name for name in names if SPLIT_OF.get(name.lower()) == split]
        if len(folders) > 1:
            raise UserError(f"{base}: {_listed(folders)} stand for one split, {split}; keep one of them ({_HINT})")
        if folders:
            found[split] = folders[0]
    return found


def _tell_layout(base: Path, usable: Mapping[str, str], inside: Mapping[str, Sequence[str]]) -> None:
    renamed = [f"{name}/ is used as {split}" for split, name in usable.items() if name != split]
    if renamed:
        log.info("%s: %s", base, ", ".join(renamed))
    unused = [name for name in inside if name not in usable.values()]
    unknown = [name for name in unused if name.lower() not in SPLIT_OF and (inside[name] or images_in(base / name))]
    if unknown:
        log.warning("%s: %s not used, but only %s (%s)", base, _are(unknown), _listed(usable.values()), _HINT)
    for name in unused:
        if name.lower() in SPLIT_OF:
            log.warning("%s: %s/ has no class folders and is not used", base, name)


def _listed(names: Collection[str]) -> str:
    *first, last = (f"{name}/" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


def _are(names: Collection[str]) -> str:
    return f"{_listed(names)} {'are' if len(names) > 1 else 'is'}"
