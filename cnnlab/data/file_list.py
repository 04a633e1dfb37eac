"""Which image files a training uses: written down once, so that a resumed run has the same ones, split by split."""

import logging
import os
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.data.dataset import Dataset, ImageFiles, Split
from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically

log = logging.getLogger(__name__)

FILE_LIST = "files.csv"
"""Its name in a run directory."""


def write_file_list(path: Path, dataset: Dataset) -> None:
    """Write a table of the files of all splits, in their order; of arrays and records there is none.

    Its columns are split, path (below `dataset.folder`, or absolute), class, size (bytes), orientation (1 to 8, as
    EXIF counts) and, where images are weighted, weight.
    """
    if isinstance(images := dataset.splits["train"].images, ImageFiles) and images.read is None:
        with write_atomically(path) as temporary:
            _list_files(dataset).to_csv(temporary, index=False)


def restore_files(path: Path, dataset: Dataset, key: str) -> Dataset:
    """The files that a list names, in its splits and its order, as they are found now.

    Args:
        path: the list; where there is none, the dataset is returned as it is.
        dataset: as it is read now, however its splits are drawn. What it has beyond the list is left out, and told.
        key: "key=value" that asked for it, for the messages.

    Raises:
        UserError: a file of the list is gone, is no image any more, or has another size, orientation, class or weight.
    """
    if not path.exists():
        return dataset
    types = {"path": str, "class": str, "weight": np.float32}
    then, now = pd.read_csv(path, dtype=types, keep_default_na=False), _list_files(dataset)
    if "weight" in then or "weight" in now:
        then, now = (files if "weight" in files else files.assign(weight=np.float32(1)) for files in (then, now))
    paired = then.merge(now.reset_index(names="position"), "left", "path", suffixes=("", "_now"))
    for column in then.columns.drop(["split", "path"]):
        differs = paired[column] != paired[f"{column}_now"]
        if differs.any():
            first = paired[differs].iloc[0]
            others = differs.sum() - 1
            more = f", and {others:,} more file{'s' if others > 1 else ''}" if others else ""
            raise UserError(
                f"{key}: {first.path} {_difference(first, column, dataset)} since the run began{more}; "
                "restore it, or train a new run"
            )
    if len(now) > len(then):
        log.warning("%s: %s files that are new since the run began are left out", key, f"{len(now) - len(then):,}")
    every = reduce(Split.join, dataset.splits.values())
    positions = paired["position"].to_numpy(np.int64)
    parts = {name: positions[paired["split"] == name] for name in dict.fromkeys(then["split"])}
    return replace(dataset, splits={name: every.take(part) for name, part in parts.items()})


def _list_files(dataset: Dataset) -> pd.DataFrame:
    """A row per file of each split."""
    frames = []
    for name, split in dataset.splits.items():
        assert isinstance(split.images, ImageFiles)  # all splits of a dataset are, or none is
        paths = split.images.paths.tolist()
        columns = {
            "split": name,
            "path": [_below(path, dataset.folder) for path in paths],
            "class": np.array(dataset.class_names)[split.labels],
            "size": [os.stat(path).st_size for path in paths],  # noqa: PTH116, a hundred thousand times
            "orientation": split.images.orientations,
        }
        if split.weights is not None:
            columns["weight"] = split.weights
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _below(path: str, folder: Path | None) -> str:
    if folder is None:
        return path
    below = path.removeprefix(f"{folder}{os.sep}")
    if below == path:  # looked for in this way for those alone, for it costs a hundred times as much
        below = os.path.relpath(path, folder)
    return path if below.startswith(os.pardir) else below


def _difference(row: "pd.Series[str]", column: str, dataset: Dataset) -> str:
    """What is no longer as it was, in words."""
    if pd.isna(row["position"]):
        path = str(row["path"] if dataset.folder is None else dataset.folder / row["path"])
        reasons = (skipped[path] for skipped in dataset.skipped.values() if path in skipped)
        reason = next(reasons, "")
        return f"cannot be read any more ({reason})" if reason else "is gone"
    return f"has changed its {column} (then {row[column]}, now {row[f'{column}_now']})"
