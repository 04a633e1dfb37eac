"""Tables as spreadsheets and programs write them: CSV in its dialects, or Parquet, as text."""

import codecs
import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cnnlab.config.extras import is_installed
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError

log = logging.getLogger(__name__)

Delimiter = Literal["comma", "semicolon", "tab", "pipe"]

_DELIMITERS: dict[str, Delimiter] = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Excel's "Unicode text"
_PARQUET, _SPREADSHEETS = b"PAR1", (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_NO_TEXT = (dict, list, bytes, np.ndarray)


def read_table(
    path: Path, needed: Mapping[str, str], encoding: str | None = None, delimiter: Delimiter | None = None
) -> pd.DataFrame:
    """Read a table, told by its content to be Parquet or CSV.

    Args:
        path: the file. In a CSV the first row names the columns; a first line `sep=;`, as spreadsheets write it, tells
            the delimiter.
        needed: columns that there must be, by the keys of the configuration that name them; by them the delimiter of a
            CSV is found.
        encoding: of a CSV; None: UTF-8, or UTF-16 where it begins with its mark.
        delimiter: of a CSV; None: the one that finds the needed columns in the first row, which is told unless it is
            the comma.

    Returns:
        Text, empty where there is nothing; the index counts rows as a spreadsheet does, the
        first row of a CSV being 1. Empty rows are left out, and told.

    Raises:
        UserError: the file is empty, no table or in another encoding; a needed column is missing, or a row has more
            values than there are columns; pyarrow is needed and missing.
    """
    content = path.read_bytes()
    if content.startswith(_SPREADSHEETS):
        raise UserError(f"{path}: is a spreadsheet or an archive, no table; save it as CSV (UTF-8)")
    if content.startswith(_PARQUET):
        if encoding or delimiter:
            raise UserError(f"{path}: is Parquet, which has no encoding and no delimiter; leave these keys null")
        frame = _read_parquet(path)
        for key, name in needed.items():
            find_column(frame.columns.tolist(), name, key, path)
    else:
        frame = _read_csv(path, _decode(content, encoding, path), needed, delimiter)
    empty = frame.map(str.isspace).where(frame != "", True).all(axis="columns")
    if empty.any():
        log.info("%s: empty rows are left out (%s)", path.name, f"{empty.sum():,}")
        frame = frame[~empty]
    if frame.empty:
        raise UserError(f"{path}: holds no rows")
    return frame


def plain_name(column: str) -> str:
    """A column's name as it is compared: neither case nor blanks around it count."""
    return column.strip().casefold()


def find_column(columns: Sequence[str], name: str, key: str, path: Path) -> str:
    """The column that `name`, the value of `key` of the configuration, means, whatever its case.

    Raises:
        UserError: there is none, or several.
    """
    found = [column for column in columns if plain_name(column) == plain_name(name)]
    if len(found) > 1:
        raise UserError(f"{path}: has {len(found)} columns {name}; rename all but one")
    if not found:
        hint = did_you_mean(name, columns)
        raise UserError(f"{path}: has no column {name}{hint}; name yours with {key}=…; columns: {', '.join(columns)}")
    return found[0]


def _decode(content: bytes, encoding: str | None, path: Path) -> str:
    if encoding is None:
        encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise UserError(f"dataset.encoding={encoding}: no such encoding; Python's names, such as cp1252") from error
    except UnicodeError as error:
        row = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        name = encoding.removesuffix("-sig").upper()
        raise UserError(
            f"{path}: row {row} is not in {name}; save the table as UTF-8, or give its encoding, such as "
            "dataset.encoding=cp1252"
        ) from error


def _read_csv(path: Path, text: str, needed: Mapping[str, str], delimiter: Delimiter | None) -> pd.DataFrame:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    declared = first.removeprefix("sep=") if first.startswith("sep=") else None
    if declared in _DELIMITERS:
        first, _, rest = rest.partition("\n")
    if not first.strip():
        raise UserError(f"{path}: its first row is empty; it names the columns, such as {', '.join(needed.values())}")
    if delimiter is not None:
        character = next(character for character, name in _DELIMITERS.items() if name == delimiter)
    elif declared in _DELIMITERS:
        character = declared
    else:
        character = _find_delimiter(first, [*needed.values()])
        if character != ",":
            log.info("%s: its values are taken to be separated by %ss", path.name, _DELIMITERS[character])
    numbered = _rows(f"{first}\n{rest}", character, path)
    columns = [name.strip() for name in next(numbered)[1]]
    while columns and not columns[-1]:  # of delimiters at the end of every row
        columns.pop()
    for key, name in needed.items():
        find_column(columns, name, key, path)
    index, rows = [], []
    for number, row in numbered:
        if any(value.strip() for value in row[len(columns) :]):
            raise UserError(
                f"{path}, row {number}: has {len(row)} values for {len(columns)} columns; put values that contain a "
                f"{_DELIMITERS[character]} into quotation marks"
            )
        index.append(number)
        rows.append([*row, *[""] * (len(columns) - len(row))][: len(columns)])
    return pd.DataFrame(rows, index, columns, dtype=object)


def _find_delimiter(header: str, needed: Sequence[str]) -> str:
    """The one that finds the most of the needed columns; of several the one that finds the most columns."""

    def rank(character: str) -> tuple[int, int]:
        columns = {plain_name(column) for column in next(csv.reader([header], delimiter=character))}
        return sum(plain_name(name) in columns for name in needed), len(columns)

    return max(_DELIMITERS, key=rank)


def _rows(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from enumerate(reader, 1)
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}; is a quotation mark missing?") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    if not is_installed("pyarrow"):
        raise UserError(f"{path}: Parquet needs pyarrow, which is not installed; pip install 'cnnlab[parquet]'")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError, NotImplementedError) as error:
        raise UserError(f"{path}: is damaged, or Parquet that cannot be read ({str(error).splitlines()[0]})") from error
    if frame.index.names != [None]:
        frame = frame.reset_index()
    values = {str(name): [_text(value) for value in frame[name].astype(object)] for name in frame.columns}
    return pd.DataFrame(values, index=range(1, len(frame) + 1), dtype=object)


def _text(value: object) -> str:
    """A value as a CSV would have it: whole numbers without a point, as columns with gaps hold them as floats."""
    if isinstance(value, _NO_TEXT):
        return f"({type(value).__name__})"
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
