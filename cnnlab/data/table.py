"""Tables of images: a row per image, with the path of its file and its label."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import cast

import numpy as np
import pandas as pd

from cnnlab.data.dataset import ImageShape, PublishedDataset, Resize, Split
from cnnlab.data.groups import own_groups
from cnnlab.data.image_cache import CheckedImage
from cnnlab.data.image_files import OnError, check_images, image_files, refuse_faults, require_utf8, tell_changes
from cnnlab.data.locate import existing_root
from cnnlab.data.split_folders import ALIASES, SPLIT_OF
from cnnlab.data.table_file import Delimiter, find_column, plain_name, read_table
from cnnlab.errors import UserError
from cnnlab.reporting.words import first_few, reasons

log = logging.getLogger(__name__)

AUTO = "auto"
MISSING = "no such file"
OPTIONAL = ("split", "group", "weight")
_THOUSANDS = r"[1-9]\d{0,2},\d{3}"


def table(
    *,
    root: str | None = None,
    image_shape: ImageShape,
    path_column: str = "path",
    label_column: str = "label",
    split_column: str | None = AUTO,
    group_column: str | None = AUTO,
    weight_column: str | None = AUTO,
    encoding: str | None = None,
    delimiter: Delimiter | None = None,
    resize: Resize = "crop",
    on_error: OnError = "skip",
) -> PublishedDataset:
    """Images that a CSV or Parquet file lists, with their labels and, optionally, splits, groups and weights.

    Classes are called as the labels are, and sorted: by number where all are integers. Images are sorted by their
    path, so that the order of the rows does not matter. Rows that say of a file what an earlier row says count once,
    which is told. What was left out is told in `skipped`.

    Args:
        root: the file, see `read_table`.
        image_shape: (height, width, channels) the images are brought to when they are decoded.
        path_column: its values are paths, relative to the table's folder; backslashes do where a file is found by them.
        label_column: its values are integers or text.
        split_column: its values are train, validation or test, or the other names of split folders (`ALIASES`).
        group_column: images of one group must not be in two splits; an image without one is a group of its own.
        weight_column: numbers, at least 0, see `Split`.
        split_column, group_column, weight_column: "auto" is the column split, group or weight where there is one; None
            is none.
        encoding, delimiter: of a CSV, see `read_table`.
        resize: see `Resize`.
        on_error: "skip" leaves out a file that is missing, no image or damaged, "stop" refuses it.

    Raises:
        UserError: the table cannot be read, a column is missing, a value is empty, no split or no weight, rows
            contradict each other, or the files are not enough: fewer than two classes, a class or split without an
            image, a class that is not in the training split; or, if `on_error` is "stop", one is missing or no image.
    """
    if root is None:
        raise UserError("dataset.root is null: set it to the table, a CSV or Parquet file of the columns path, label")
    path = existing_root(root)
    columns = {"path": path_column, "label": label_column}
    optional = {"split": split_column, "group": group_column, "weight": weight_column}
    rows = _read_rows(path, columns | {name: given for name, given in optional.items() if given}, encoding, delimiter)
    rows = rows if "split" in rows else rows.assign(split="train")
    if "train" not in set(rows["split"]):
        raise UserError(f"{path}: no row is of the split train; there are {', '.join(rows['split'].unique())}")
    checked, faults = _check_files(rows, path)
    refuse_faults(faults, on_error)
    class_names = _class_names(rows, faults, path)
    skipped = _skipped(rows, faults)
    rows = rows[~rows["path"].isin(faults.keys())]
    tell_changes(path.name, checked.values())
    found = {
        split: _to_split(rows[rows["split"] == split], checked, class_names, image_shape, resize, path)
        for split in ALIASES
        if split in skipped
    }
    return PublishedDataset(class_names, found, skipped=skipped, folder=path.parent)


def split_of_table(
    path: Path, split: str, image_shape: ImageShape, resize: Resize, table_format: Mapping[str, str | None]
) -> PublishedDataset:
    """One split of a table, for a model that knows its classes already; one class will do.

    Args:
        path: the table; without a column of splits, all rows are the split "test".
        split: which.
        image_shape: (height, width, channels) the images are brought to when they are decoded.
        resize: see `Resize`.
        table_format: those of `TABLE_FORMAT` that a training's `table` was given; else the columns are path, label and,
            where there is one, split.

    Returns:
        That split alone.

    Raises:
        UserError: as `table`, or there is no such split.
    """
    columns = {"path": table_format.get("path_column") or "path", "label": table_format.get("label_column") or "label"}
    if split_column := table_format.get("split_column", AUTO):
        columns["split"] = split_column
    delimiter = cast(Delimiter | None, table_format.get("delimiter"))
    rows = _read_rows(path, columns, table_format.get("encoding"), delimiter)
    rows = rows if "split" in rows else rows.assign(split="test")
    if split not in set(rows["split"]):
        raise UserError(f"split={split}: {path} has no such split, but {', '.join(rows['split'].unique())}")
    rows = rows[rows["split"] == split]
    checked, faults = _check_files(rows, path)
    class_names = tuple(_sorted_labels(rows["label"]))
    tell_changes(path.name, checked.values())
    rows = rows[~rows["path"].isin(faults.keys())]
    found = _to_split(rows, checked, class_names, image_shape, resize, path)
    return PublishedDataset(class_names, {split: found}, skipped={split: faults}, folder=path.parent)


def _read_rows(path: Path, columns: dict[str, str], encoding: str | None, delimiter: Delimiter | None) -> pd.DataFrame:
    """A row per image, sorted by absolute path: path, label and those of split, group and weight that there are."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, no table; class folders: dataset=image_folder")
    keys = {name: f"dataset.{name}_column" for name in columns}
    frame = read_table(path, {keys[name]: columns[name] for name in ("path", "label")}, encoding, delimiter)
    chosen = {}
    for name, given in columns.items():
        if given != AUTO or name not in OPTIONAL:
            chosen[name] = find_column(frame.columns.tolist(), given, keys[name], path)
        elif name in map(plain_name, frame.columns):
            chosen[name] = find_column(frame.columns.tolist(), name, keys[name], path)
    _tell_columns(frame, chosen, path)
    written = pd.DataFrame({name: frame[column] for name, column in chosen.items()})
    rows = written.apply(lambda column: column.str.strip())
    around = {chosen[name]: (written[name] != rows[name]).sum() for name in chosen}
    if any(around.values()):
        counts = reasons({column: count for column, count in around.items() if count})
        log.info("%s: blanks around values are dropped (%s)", path.name, counts)
    for name in chosen:
        empty = rows.index[rows[name] == ""]
        if len(empty) and name != "group":
            raise UserError(f"{path}, row {empty[0]}: the {chosen[name]} is empty{_more(len(empty))}")
    if "split" in rows:
        rows["split"] = _splits(rows["split"], path)
    if "weight" in rows:
        rows["weight"] = _weights(rows["weight"], path)
    rows["path"] = _absolute(rows["path"], path)
    if "group" in rows:
        rows["group"] = own_groups(list(rows["group"]), list(rows["path"]), path.name)
    return _without_repeats(rows, path).sort_values("path", kind="stable")


def _tell_columns(frame: pd.DataFrame, chosen: dict[str, str], path: Path) -> None:
    used = ", ".join(column if column == name else f"{column} as {name}" for name, column in chosen.items())
    unused = [column or "(no name)" for column in frame.columns if column not in chosen.values()]
    log.info(
        "%s: %s rows; columns used: %s%s",
        path.name, f"{len(frame):,}", used, f"; not used: {first_few(unused)}" if unused else "",
    )  # fmt: skip


def _splits(values: pd.Series, path: Path) -> pd.Series:
    """The split of each row by its own name."""
    splits = values.str.casefold().map(SPLIT_OF)
    unknown = splits.index[splits.isna()]
    if len(unknown):
        raise UserError(
            f"{path}, row {unknown[0]}: {values[unknown[0]]} is no split{_more(len(unknown))}; "
            f"use {', '.join(ALIASES)}, or dataset.split_column=null to draw splits"
        )
    renamed = {value: split for value, split in zip(values, splits, strict=True) if value != split}
    if renamed:
        log.info("%s: %s", path.name, ", ".join(f"{value} is used as {split}" for value, split in renamed.items()))
    return splits


def _weights(values: pd.Series, path: Path) -> pd.Series:
    """The weight of each row as a number; a comma is a point, unless all that there are may separate thousands."""
    commas = values[values.str.contains(",", regex=False)]
    if len(commas) and commas.str.fullmatch(_THOUSANDS).all():
        thousands, point = (commas.iloc[0].replace(",", sign) for sign in ("", "."))
        raise UserError(
            f"{path}, row {commas.index[0]}: the weight {commas.iloc[0]} may be {thousands} or {point}"
            f"{_more(len(commas))}; write it as one of these"
        )
    weights = pd.to_numeric(values.str.replace(",", ".", regex=False), errors="coerce")
    bad = weights.index[~(np.isfinite(weights) & (weights >= 0))]
    if len(bad):
        raise UserError(
            f"{path}, row {bad[0]}: {values[bad[0]]} is no weight{_more(len(bad))}; use numbers of at least 0, or "
            "dataset.weight_column=null to weigh all images alike"
        )
    log.info(
        "%s: weights of %g to %g count in the training loss, divided by their mean (dataset.weight_column=null: none)",
        path.name, weights.min(), weights.max(),
    )  # fmt: skip
    return weights


def _absolute(values: pd.Series, path: Path) -> list[str]:
    """Paths from the table's folder; backslashes are slashes where only so a file is there, which is told."""
    paths, turned = [], 0
    for value in values:
        found = os.path.abspath(path.parent / value)  # noqa: PTH100, resolve() would follow links
        if "\\" in value and not Path(found).is_file():
            other = os.path.abspath(path.parent / value.replace("\\", "/"))  # noqa: PTH100
            if Path(other).is_file():
                found, turned = other, turned + 1
        paths.append(found)
    if turned:
        log.info("%s: backslashes in paths are read as slashes (%s)", path.name, f"{turned:,}")
    return paths


def _without_repeats(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Each file once; rows that say the same of it are told."""
    repeated = rows[rows.duplicated("path", keep=False)]
    distinct = repeated.groupby("path").nunique()
    for column in distinct.columns[(distinct > 1).any()]:
        name = distinct.index[distinct[column] > 1][0]
        same = repeated.loc[repeated["path"] == name, column].drop_duplicates()
        values = " and ".join(f"{value} (row {row})" for row, value in same.items())
        raise UserError(f"{path}: {name} has several {column}s: {values}; keep one of these rows")
    again = rows.index[rows.duplicated("path")]
    if len(again):
        log.warning(
            "%s: rows that repeat an earlier one do not count (%s, such as row %s)",
            path.name, f"{len(again):,}", again[0],
        )  # fmt: skip
    return rows.drop(index=again)


def _check_files(rows: pd.DataFrame, path: Path) -> tuple[dict[str, CheckedImage], dict[str, str]]:
    """What every file turns out to be, by path, and the faults of those that cannot be used.

    Raises:
        UserError: none of them is there.
    """
    names = list(rows["path"])
    missing = [name for name in names if not Path(name).exists() and not Path(name).is_symlink()]
    if missing:
        windows = next((name for name in missing if PureWindowsPath(name.removeprefix(f"{path.parent}/")).drive), None)
        example = windows or missing[0]
        hint = " (a path of Windows)" if windows and os.name != "nt" else ""
        if len(missing) == len(names):
            raise UserError(
                f"{path}: none of its {len(names):,} files is there, such as {example}{hint}; paths are relative to "
                "the table's folder"
            )
        log.warning(
            "%s: %s of its %s files are not there, such as %s%s",
            path.name, f"{len(missing):,}", f"{len(names):,}", example, hint,
        )  # fmt: skip
    there = list(rows["path"][~rows["path"].isin(missing)])
    require_utf8(there)
    checked = dict(zip(there, check_images(there), strict=True))
    return checked, dict.fromkeys(missing, MISSING) | {name: each.fault for name, each in checked.items() if each.fault}


def _class_names(rows: pd.DataFrame, faults: dict[str, str], path: Path) -> tuple[str, ...]:
    """The classes of the training split, all of which must have an image there."""
    train = rows[rows["split"] == "train"]
    names = _sorted_labels(train["label"])
    if len(names) < 2:
        raise UserError(f"{path}: has the label {names[0]} only; two classes or more are needed")
    left = set(train["label"][~train["path"].isin(faults.keys())])
    for name in names:
        if name not in left:
            first = train[train["label"] == name].iloc[0]
            reason = f"{first['path']}: {faults[first['path']]}"
            raise UserError(f"{path}: the class {name} has no image in the training split that can be read ({reason})")
    for row, label, split in zip(rows.index, rows["label"], rows["split"], strict=True):
        if label not in left:
            raise UserError(f"{path}, row {row}: {split} has a class {label} that train has not")
    return tuple(names)


def _skipped(rows: pd.DataFrame, faults: dict[str, str]) -> dict[str, dict[str, str]]:
    """The faults by split, of which all are named."""
    skipped: dict[str, dict[str, str]] = {split: {} for split in rows["split"]}
    for name, split in zip(rows["path"], rows["split"], strict=True):
        if name in faults:
            skipped[split][name] = faults[name]
    return skipped


def _sorted_labels(labels: pd.Series) -> list[str]:
    """By number where all are integers, else by text."""
    names = sorted(set(labels))
    return sorted(names, key=int) if all(name.removeprefix("-").isdecimal() for name in names) else names


def _to_split(
    rows: pd.DataFrame,
    checked: dict[str, CheckedImage],
    class_names: Sequence[str],
    image_shape: ImageShape,
    resize: Resize,
    path: Path,
) -> Split:
    if rows.empty:
        raise UserError(f"{path}: a split has no image that can be read")
    paths = list(rows["path"])
    positions = {name: position for position, name in enumerate(class_names)}
    return Split(
        image_files(paths, [checked[name] for name in paths], image_shape, resize),
        rows["label"].map(positions).to_numpy(np.int32),
        groups=rows["group"].to_numpy(dtype=str) if "group" in rows else None,
        weights=rows["weight"].to_numpy(np.float32) if "weight" in rows else None,
    )


def _more(count: int) -> str:
    return f" ({count:,} such rows)" if count > 1 else ""
