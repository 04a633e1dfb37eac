"""Choosing the images that a method looks at, and target classes."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cnnlab.config.nearest import did_you_mean
from cnnlab.data.dataset import DecodedSplit, Split
from cnnlab.data.decode import load_images
from cnnlab.data.find_files import find_files
from cnnlab.data.image_files import check_given, image_files
from cnnlab.data.sample import decoded, sample
from cnnlab.errors import UserError
from cnnlab.runs.files import readable
from cnnlab.visualize.subject import Subject

log = logging.getLogger(__name__)

SplitName = Literal["auto", "test", "validation", "train"]
"""Where images are drawn from; auto: the first of the others that the dataset has."""


@dataclass(frozen=True)
class Chosen:
    """Images to look at.

    Attributes:
        images: uint8 (n, H, W, C), as the network takes them.
        labels: int32 (n,) true classes; None for files.
        names: one per image: its class, or its file.
    """

    images: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]


def choose_images(subject: Subject, images: int | list[int] | str, split: SplitName, seed: int) -> Chosen:
    """Choose images of a split, or read files.

    Args:
        images: how many to draw from the split; or their positions in it; or image files: a name, a folder, or a glob
            pattern.
        split: of the subject's dataset; not looked at for files.
        seed: of the draw.

    Raises:
        UserError: there is no such split, position or file, or an image cannot be decoded.
    """
    if isinstance(images, str):
        return _read_files(subject, images)
    drawn = _examples(choose_split(subject, split), images, seed)
    return Chosen(drawn.images, drawn.labels, tuple(subject.class_names[label] for label in drawn.labels))


def _read_files(subject: Subject, pattern: str) -> Chosen:
    """The images that a name, a folder or a glob pattern stands for; what is no image is told and left out."""
    files = find_files([pattern], key="method.images")
    checked = check_given(files, f"method.images={pattern}")
    whole = [(file, each) for file, each in zip(files, checked, strict=True) if not each.fault]
    paths, images = zip(*whole, strict=True)
    data = subject.config.dataset
    files_found = image_files(paths, images, subject.image_shape, data.get("resize", "squash"), data.get("resize_size"))
    pixels = load_images(files_found)
    return Chosen(pixels, None, tuple(readable(Path(path).name) for path in paths))


def choose_split(subject: Subject, split: SplitName) -> Split:
    """A split of the subject's dataset.

    Raises:
        UserError: the dataset has no such split.
    """
    splits = subject.dataset.splits
    if split == "auto":
        split = next(name for name in get_args(SplitName) if name in splits)
    if split not in splits:
        raise UserError(f"method.split={split}: {subject.dataset.name} has no such split, but {', '.join(splits)}")
    return splits[split]


def choose_class(subject: Subject, target: str | int, key: str = "method.target") -> int:
    """The index of a class that is given by its name or index.

    Args:
        target: the name or index.
        key: of the configuration that gave it.

    Raises:
        UserError: there is no such class.
    """
    names = subject.class_names
    if str(target) in names:
        return names.index(str(target))
    if isinstance(target, int) and 0 <= target < len(names):
        return target
    raise UserError(
        f"{key}={target}: no such class{did_you_mean(target, names)}; "
        f"the classes are {', '.join(names[:20])}{', …' if len(names) > 20 else ''}, or 0 to {len(names) - 1}"
    )


def _examples(split: Split, images: int | Sequence[int], seed: int) -> DecodedSplit:
    if isinstance(images, int):
        if images < 1:
            raise UserError(f"method.images={images}: must be at least 1")
        if images > len(split):
            log.warning("method.images=%d: the split has only %d, which are all taken", images, len(split))
        return sample(split, images, seed)
    if not images:
        raise UserError("method.images=[]: give a position at least, or how many to draw")
    for position in images:
        if not 0 <= position < len(split):
            raise UserError(
                f"method.images={position}: the split has {len(split)} images, numbered from 0 to {len(split) - 1}"
            )
    return decoded(split.take(np.array(images, dtype=np.int64)))
