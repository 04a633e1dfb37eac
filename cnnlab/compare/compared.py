"""What `cnnlab compare` gives back."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Compared:
    """What a comparison has come to.

    Attributes:
        folder: where it is written.
        summary: of the chosen metric, see `tables.summary_table`.
        shown: the same as text, its heads first.
        verdicts: sentences, each about a difference.
        notes: what to know of the numbers, such as what did not count.
    """

    folder: Path
    summary: pd.DataFrame
    shown: list[tuple[str, ...]]
    verdicts: list[str]
    notes: list[str]
