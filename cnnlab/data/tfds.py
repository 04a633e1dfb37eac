"""Datasets of TensorFlow Datasets, read record by record from ArrayRecord files: the extra `tfds`."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnlab.config.extras import is_installed
from cnnlab.data.dataset import ImageShape, PublishedDataset, Resize, Split
from cnnlab.data.image_cache import CheckedImage, Stamp, cache_folder, recall, remember
from cnnlab.data.image_files import OnError, check_image, image_files, refuse_faults, tell_changes
from cnnlab.data.locate import existing_root
from cnnlab.data.split_folders import SPLIT_OF
from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

log = logging.getLogger(__name__)

BATCH = 256
"""Records that are read at once to be checked."""


class Records:
    """Reads the images of records, each by a name that ends with "/SPLIT#INDEX", as the bytes that were stored.

    Args:
        builder: of the dataset.
        image: the name of the images among a record's features; those of others are not decoded either.
    """

    def __init__(self, builder: "DatasetBuilder", image: str):
        import tensorflow_datasets

        skip, kind = tensorflow_datasets.decode.SkipDecoding(), tensorflow_datasets.features.Image
        decoders = {name: skip for name, feature in builder.info.features.items() if isinstance(feature, kind)}
        self._image = image
        self.sources = {split: builder.as_data_source(split, decoders=decoders) for split in builder.info.splits}

    def __call__(self, names: Sequence[str]) -> list[bytes]:
        """What the records hold, or the files that they were converted to, in the order of `names`."""
        found: dict[str, bytes] = {}
        for split, source in self.sources.items():
            mine = [name for name in names if "#" in name and name.rpartition("#")[0].endswith(f"/{split}")]
            indices = [int(name.rpartition("#")[2]) for name in mine]
            records = source.__getitems__(indices) if indices else []
            found |= {name: record[self._image] for name, record in zip(mine, records, strict=True)}
        return [found[name] if name in found else Path(name).read_bytes() for name in names]


def tfds(
    *,
    name: str,
    root: str | None = None,
    image_shape: ImageShape,
    image: str | None = None,
    label: str | None = None,
    resize: Resize = "crop",
    on_error: OnError = "skip",
) -> PublishedDataset:
    """Images with one label each from a dataset that TensorFlow Datasets has prepared in ArrayRecord files.

    Nothing is downloaded. All records are read once to find out their labels and which are damaged, which is
    remembered in the user's cache. Splits are told by their names (`ALIASES`); others are not used.

    Args:
        name: NAME, NAME/CONFIG or NAME/CONFIG:VERSION.
        root: the folder that TensorFlow Datasets calls data_dir; None is its own default.
        image_shape: (height, width, channels) the images are brought to when they are decoded.
        image, label: the features of a record; None takes those for supervised learning that the dataset declares.
        resize: see `Resize`.
        on_error: "skip" leaves out a damaged image, "stop" refuses it.

    Raises:
        UserError: the package is missing, the dataset is not there or in another format, it has no such features, no
            training split, or, if `on_error` is "stop", a damaged image.
    """
    if not is_installed("tensorflow_datasets"):
        raise UserError("dataset=tfds: tensorflow_datasets is not installed; pip install 'cnnlab[tfds]'")
    builder = _builder(name, root)
    image, label = _features(builder, name, image, label)
    class_names = tuple(builder.info.features[label].names)
    records = Records(builder, image)
    splits, skipped = {}, {}
    for own_name, source in records.sources.items():
        split = SPLIT_OF.get(own_name.lower())
        if split is None or split in splits:  # nor is it read, which may take hours
            log.info("%s: the split %s is not used", name, own_name)
            continue
        checked, labels = _check(builder, own_name, source, image, label)
        if (labels < 0).all():
            log.info("%s: the split %s has no labels and is not used", name, own_name)
            continue
        names = [f"{builder.info.full_name}/{own_name}#{index}" for index in range(len(source))]
        skipped[split] = {name: each.fault for name, each in zip(names, checked, strict=True) if each.fault}
        refuse_faults(skipped[split], on_error)
        kept = [index for index, each in enumerate(checked) if not each.fault]
        tell_changes(f"{name}, {own_name}", checked)
        files = image_files([names[index] for index in kept], [checked[index] for index in kept], image_shape, resize)
        splits[split] = Split(replace(files, read=records), labels[kept])
    if "train" not in splits:
        raise UserError(f"dataset.name={name}: has no training split, but {', '.join(records.sources) or 'none'}")
    return PublishedDataset(class_names, splits, skipped=skipped)


def _builder(name: str, root: str | None) -> "DatasetBuilder":
    import tensorflow_datasets
    from tensorflow_datasets.core import FileFormat

    folder = None if root is None else existing_root(root)
    try:
        builder = tensorflow_datasets.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:  # what it says lists all that there are
        raise UserError(f"dataset.name={name}: {str(error).splitlines()[0]}") from error
    where = builder.data_dir
    if not builder.info.splits:
        raise UserError(
            f"dataset.name={name}: is not prepared in {where}; prepare it once with "
            f"tfds build {name} --data_dir={root or 'DIR'} --file_format=array_record, or give dataset.root=DIR"
        )
    if builder.info.file_format is not FileFormat.ARRAY_RECORD:
        raise UserError(
            f"dataset.name={name}: {where} is in {builder.info.file_format.value} files, which have no random access; "
            f"convert it once with tfds convert_format --dataset_version_dir={where} --out_file_format=array_record "
            "--out_dir=DIR"
        )
    return builder


def _features(builder: "DatasetBuilder", name: str, image: str | None, label: str | None) -> tuple[str, str]:
    """The names of the image and of its label in a record."""
    from tensorflow_datasets import features

    supervised = builder.info.supervised_keys
    image, label = image or (supervised or ("image", "label"))[0], label or (supervised or ("image", "label"))[-1]
    for key, feature, kind in (("image", image, features.Image), ("label", label, features.ClassLabel)):
        fitting = [each for each, found in builder.info.features.items() if isinstance(found, kind)]
        if feature not in fitting:
            raise UserError(
                f"dataset.{key}={feature}: is no {kind.__name__} of {name}; it has {', '.join(fitting) or 'none'}"
            )
    return image, label


def _check(
    builder: "DatasetBuilder", split: str, source: Any, image: str, label: str
) -> tuple[list[CheckedImage], np.ndarray]:
    """What every record of a split turns out to be, and its label, int32."""
    stamp = _stamp(builder, split)
    names = [f"{builder.info.full_name}/{split}#{index}" for index in range(len(source))]
    keys = [f"{builder.data_dir}/{image}/{name}" for name in names]  # a record may have several images
    digest = hashlib.blake2b(f"{builder.data_dir}\0{split}\0{image}\0{label}\0{stamp}".encode(), digest_size=16)
    labels_file = cache_folder() / "labels" / f"{digest.hexdigest()}.npy"
    known = recall(dict.fromkeys(keys, stamp)) if labels_file.exists() else {}
    if len(known) == len(keys):
        labels = np.load(labels_file)
    else:
        log.info("%s: reading its %s records once …", builder.info.full_name, f"{len(keys):,}")
        labels = np.empty(len(keys), np.int32)
        with ThreadPoolExecutor() as pool:
            for start, records in _batches(source):
                part = slice(start, start + len(records))
                labels[part] = [record[label] for record in records]
                contents = [record[image] for record in records]
                checked = pool.map(partial(_check_record, stamp=stamp), contents, keys[part])
                known |= dict(zip(keys[part], checked, strict=True))
        if remember((key, stamp, known[key]) for key in keys):
            with write_atomically(labels_file) as temporary:
                np.save(temporary, labels)
    found = zip((known[key] for key in keys), keys, names, strict=True)
    return [replace(each, source=name) if each.source == key else each for each, key, name in found], labels


def _check_record(content: bytes, key: str, stamp: Stamp) -> CheckedImage:
    return check_image(content, key, (len(content), stamp[1]))


def _batches(source: Any) -> Iterator[tuple[int, Sequence[Mapping[str, Any]]]]:
    for start in range(0, len(source), BATCH):
        yield start, source.__getitems__(range(start, min(start + BATCH, len(source))))


def _stamp(builder: "DatasetBuilder", split: str) -> Stamp:
    """The size and the time of the last change of a split's files."""
    states = [Path(path).stat() for path in builder.info.splits[split].filepaths]
    return sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)
