"""The predictions for image files, as a CSV, whose place they have, and in the terminal."""

import csv
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.errors import UserError
from cnnlab.evaluation.classify_files import Prediction
from cnnlab.runs.files import readable, write_atomically

WIDTH_WITHOUT_TERMINAL = 1000
"""Characters; wide enough for file names not to be folded."""


def require_free(path: str) -> None:
    """Raise UserError where `output` names a file that is there; asked before the work whose result it would hold."""
    if Path(path).exists():
        raise _taken(path)


def reserve_output(requested: str | None, directory: Path) -> Path:
    """Make the CSV to write, still empty: the one asked for, or the first free number in RUN/predict/.

    No other prediction that runs at the same time gets the same one.

    Raises:
        UserError: it exists.
    """
    if requested is not None:
        path = Path(requested)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_made(path):
            raise _taken(requested)
        return path
    folder = directory / "predict"
    folder.mkdir(exist_ok=True)
    return next(path for n in count(1) if _is_made(path := folder / f"predictions-{n}.csv"))


def _is_made(path: Path) -> bool:
    """Whether a file was not there and now is."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _taken(path: str) -> UserError:
    return UserError(f"output={path}: exists; remove it or choose another file")


def write_csv(path: Path, predictions: Sequence[Prediction]) -> None:
    """One row per file: file, status (ok, or why it has no class), class, probability, class_2, probability_2, …

    In UTF-8, but for file names that are not: these keep their bytes.
    """
    places = _places(predictions)
    header = ["file", "status", "class", "probability"]
    for place in range(2, places + 1):
        header += [f"class_{place}", f"probability_{place}"]
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        for prediction in predictions:
            pairs = zip(prediction.classes, prediction.probabilities, strict=True)
            cells = [cell for name, probability in pairs for cell in (name, f"{probability:.6g}")]
            writer.writerow([prediction.file, prediction.fault or "ok", *(cells or [""] * 2 * places)])


def prediction_frame(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """The columns of `write_csv`; what has no class has none there."""
    rows = []
    for prediction in predictions:
        row: dict[str, object] = {"file": prediction.file, "status": prediction.fault or "ok"}
        for place, (name, probability) in enumerate(
            zip(prediction.classes, prediction.probabilities, strict=True), start=1
        ):
            suffix = f"_{place}" * (place > 1)
            row |= {f"class{suffix}": name, f"probability{suffix}": probability}
        rows.append(row)
    return pd.DataFrame(rows)


def print_table(predictions: Sequence[Prediction]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    for place in range(2, _places(predictions) + 1):
        table.add_column(f"{place}.", overflow="fold")
    for prediction in predictions:
        if prediction.fault:
            table.add_row(Text(readable(prediction.file)), Text(prediction.fault, style="dim"))
            continue
        best, *others = zip(prediction.classes, prediction.probabilities, strict=True)
        runners_up = [Text(f"{name} {probability:.1%}") for name, probability in others]
        table.add_row(Text(readable(prediction.file)), Text(best[0]), f"{best[1]:.1%}", *runners_up)
    Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL).print(table)


def _places(predictions: Sequence[Prediction]) -> int:
    """How many classes each prediction has."""
    return max(len(prediction.classes) for prediction in predictions)
