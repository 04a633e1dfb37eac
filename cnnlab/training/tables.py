"""metrics.csv and steps.csv: the run's history, in files any tool reads."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from cnnlab.runs.files import write_atomically

STEP_COLUMNS = ("step", "epoch", "loss", "accuracy", "learning_rate")


def write_epochs(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write metrics.csv whole, one row at least; a value that was not measured is an empty cell."""
    with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class StepTable:
    """steps.csv, appended to chunk by chunk.

    Args:
        path: the file.
        last_step: rows after this step are dropped; a resumed run computes them again.
    """

    def __init__(self, path: Path, last_step: int):
        self._path = path
        kept = _rows_up_to(path, last_step) if path.exists() else []
        with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([STEP_COLUMNS, *kept])
        self._file: TextIO = path.open("a", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def append(self, first_step: int, steps_per_epoch: int, results: np.ndarray) -> None:
        """Add the rows of consecutive steps.

        Args:
            first_step: the number of the first, from 1.
            results: float32 (n, 3): loss, accuracy, learning rate. They are written in the fewest digits
                that read back as the same float32.
        """
        for number, values in enumerate(results, first_step):
            self._writer.writerow([number, (number - 1) // steps_per_epoch + 1, *map(str, values)])
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _rows_up_to(path: Path, last_step: int) -> list[Sequence[str]]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        whole = (row for row in rows if len(row) == len(STEP_COLUMNS) and row[0].isdigit())
        return [row for row in whole if int(row[0]) <= last_step]
