"""From `config.dataset` to a dataset that fits the run."""

import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate, locate
from cnnlab.config.resolvers import register_resolvers
from cnnlab.data.arrays import read_arrays
from cnnlab.data.checks import check_published
from cnnlab.data.classes import numbered_classes, tell_lookalikes
from cnnlab.data.dataset import (
    Dataset,
    ImageFiles,
    ImageShape,
    PublishedDataset,
    Resize,
    Split,
    middle,
    stored_shape,
)
from cnnlab.data.groups import require_separate
from cnnlab.data.image_folder import split_of_folders
from cnnlab.data.splits import choose_validation, hold_out_fold, hold_out_test, hold_out_validation, parse_validation
from cnnlab.data.summary import summarize
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

register_resolvers()  # a file of conf/dataset can be read by itself

COMMON_KEYS = frozenset(
    {"image_shape", "resize_size", "num_classes", "validation", "test_fraction", "folds", "fold", "sampling"}
)
"""Keys that `load_dataset` itself uses; a reader gets those of them that it has as arguments."""

TABLES = (".csv", ".tsv", ".txt", ".parquet")
"""What the names of tables end with."""


def load_dataset(cfg: DictConfig, split_seed: int, *, own_classes: bool = False) -> Dataset:
    """Read a dataset, draw the splits it asks for, and bring its images to the declared shape.

    What each split consists of, and what was left out, is told in a line on the log.

    Args:
        cfg: the composed `config.dataset`.
        split_seed: seeds the random validation and test splits; not negative.
        own_classes: whether the classes stay as the data name them, whatever `cfg.num_classes` says: for
            `align_classes`, which finds them among those of a model.

    Returns:
        The dataset; uint8 arrays or image files of `cfg.image_shape`, which with `cfg.resize_size` are the middle of
        squares of that side that are kept beside them (`Split.stored`), int32 labels, and `cfg.num_classes`
        class names, or where that is null as many as there are: outputs wider than the labels need are called by
        their index.

    Raises:
        UserError: files are missing or damaged, labels are out of range or of one class, or a key does not fit the
            files.
    """
    image_shape, resize_size = _image_shape(cfg.image_shape), cfg.get("resize_size")
    validation = parse_validation(cfg.validation)
    published = _read(cfg)
    class_names = published.class_names if own_classes else _class_names(published.class_names, cfg.num_classes)
    if len(class_names) < 2 and not own_classes:
        raise UserError(f"dataset={cfg.name}: has the class {class_names[0]} only; two classes or more are needed")
    _require_one_size(published.splits, cfg)
    splits = hold_out_test(published.splits, cfg.get("test_fraction"), split_seed, class_names)
    if cfg.get("folds") is None:
        validation = choose_validation(validation, splits)
        splits = hold_out_validation(splits, validation, split_seed, class_names)
    else:
        splits = hold_out_fold(splits, cfg.folds, cfg.fold, split_seed, class_names)
    require_separate(splits, "dataset.group_column=null" if "group_column" in cfg else "dataset.group=null")
    _tell_conversion(cfg.name, splits.values(), image_shape, resize_size)
    fitted = {name: _fit(split, image_shape, resize_size) for name, split in splits.items()}
    dataset = Dataset(
        cfg.name,
        image_shape,
        class_names,
        fitted,
        validation=validation,
        skipped=published.skipped,
        named=published.named,
        folder=published.folder,
    )
    _tell(dataset)
    tell_lookalikes(dataset)
    return dataset


def count_classes(cfg: DictConfig) -> int:
    """`cfg.num_classes`, or where that is null as many as the files have, which are read for it.

    Raises:
        UserError: the files are missing or damaged.
    """
    return len(_read(cfg).class_names) if cfg.num_classes is None else cfg.num_classes


def load_split(
    path: Path,
    split: str,
    image_shape: ImageShape,
    num_classes: int,
    resize: Resize,
    resize_size: int | None = None,
    table_format: Mapping[str, str | None] | None = None,
) -> Dataset:
    """Read one split of labelled images that a path alone names; nothing is drawn or held out.

    Args:
        path: a folder of class folders, which are the split "test", or of split folders; a table (`TABLES`) of images,
            which without a column split are the split "test"; or an .npz file.
        split: train, validation or test.
        image_shape: (height, width, channels) the images are brought to.
        num_classes: how many classes there are where none are named.
        resize: how image files are brought there; arrays are stretched.
        resize_size: the side of the square that they are brought to first, see `ImageFiles`.
        table_format: how a table is read, see `split_of_table`.

    Returns:
        A dataset of that split, called like the folder or file.

    Raises:
        UserError: there is no such file, split or class, or the images and labels are not as their format says.
    """
    if path.is_dir():
        published = split_of_folders(path, split, image_shape, resize)
    elif not path.is_file():
        raise UserError(f"data={path}: no such folder or file")
    elif path.suffix.lower() in TABLES:
        from cnnlab.data.table import split_of_table  # pandas, only where it is needed

        published = split_of_table(path, split, image_shape, resize, table_format or {})
    else:
        published = read_arrays(path, num_classes)
        if split not in published.splits:
            raise UserError(f"split={split}: {path} has no such split, but {', '.join(published.splits)}")
    chosen = published.splits[split]
    _tell_conversion(path.name, [chosen], image_shape, resize_size)
    dataset = Dataset(
        path.name if path.is_dir() else path.stem,
        image_shape,
        published.class_names,
        {split: _fit(chosen, image_shape, resize_size)},
        skipped=published.skipped,
        named=published.named,
        folder=published.folder,
    )
    _tell(dataset)
    return dataset


def _require_one_size(splits: Mapping[str, Split], cfg: DictConfig) -> None:
    """Arrays that are to be joined must have one size; those of splits that stay apart are converted each.

    Raises:
        UserError: the arrays of the training and the validation split have not.
    """
    folds = cfg.get("folds")
    if "validation" not in splits or (folds is None and cfg.validation in ("auto", "published")):
        return
    images = [splits[name].images for name in ("train", "validation")]
    shapes = [_shown(array.shape[1:]) for array in images if isinstance(array, np.ndarray)]
    if len(set(shapes)) > 1:
        asked, apart = f"dataset.validation={cfg.validation}", "dataset.validation=published"
        if folds is not None:
            asked, apart = f"dataset.folds={folds}", "dataset.folds=null"
        raise UserError(
            f"{asked}: the training images of {cfg.get('root') or cfg.name} are {shapes[0]}, its validation images "
            f"{shapes[1]}, which cannot be joined; bring them to one size, or keep them apart with {apart}"
        )


def _tell_conversion(name: str, splits: Iterable[Split], image_shape: ImageShape, resize_size: int | None) -> None:
    """Say so where arrays have another shape than the one asked for, since files have sizes of their own; and where
    but the middle of images is shown."""
    stored = stored_shape(image_shape, resize_size)
    shapes = {split.images.shape[1:] for split in splits if isinstance(split.images, np.ndarray)}
    for shape in sorted(shapes - {stored}):
        log.info("%s: images of %s are converted to %s", name, *map(_shown, (shape, stored)))
    if stored != image_shape:
        log.info(
            "%s: images are brought to %s; their middle %s is shown, except where crops are cut",
            name,
            *map(_shown, (stored, image_shape)),
        )


def _shown(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _tell(dataset: Dataset) -> None:
    for name, summary in summarize(dataset).items():
        log.info("%s, %s: %s", dataset.name, name, summary)


def _read(cfg: DictConfig) -> PublishedDataset:
    arguments = inspect.signature(locate(cfg)).parameters
    image_shape = _image_shape(cfg.image_shape)
    given: dict[str, Any] = {"image_shape": image_shape} if "image_shape" in arguments else {}  # not as a list
    if "name" in arguments:  # else a label for people
        given["name"] = cfg.name
    published = instantiate(cfg, drop=COMMON_KEYS - arguments.keys(), **given)
    check_published(published, image_shape, f"dataset._target_={cfg._target_}")
    splits = {
        name: replace(split, labels=split.labels.astype(np.int32, copy=False))
        for name, split in published.splits.items()
    }
    return replace(published, class_names=tuple(published.class_names), splits=splits)


def _image_shape(value: Sequence[int]) -> ImageShape:
    match list(value):
        case [int(height), int(width), (1 | 3) as channels] if height > 0 and width > 0:
            return height, width, channels
    raise UserError(f"dataset.image_shape={list(value)}: expected [height, width, channels], channels 1 or 3")


def _class_names(names: tuple[str, ...], num_classes: int | None) -> tuple[str, ...]:
    if num_classes is None:
        return names
    if num_classes < len(names):
        raise UserError(
            f"dataset.num_classes={num_classes}: there are {len(names)} classes; set it to {len(names)} or more"
        )
    further = numbered_classes(num_classes)[len(names) :]
    taken = next((name for name in further if name in names), None)
    if taken is not None:
        raise UserError(
            f"dataset.num_classes={num_classes}: output {taken} would be called like the class {taken}, which is "
            f"output {names.index(taken)}; leave num_classes out, or give the classes other names"
        )
    return names + further


def _fit(split: Split, image_shape: ImageShape, resize_size: int | None) -> Split:
    if isinstance(split.images, ImageFiles):
        return replace(split, images=replace(split.images, resize_size=resize_size))
    images, shape = split.images, stored_shape(image_shape, resize_size)
    if images.shape[1:] != shape:
        from cnnlab.data.decode import resize_array  # TensorFlow, only where it is needed

        images = resize_array(images, shape)
    if resize_size is None:
        return replace(split, images=images)
    return replace(split, images=images[(slice(None), *middle(shape, image_shape))], squares=images)
