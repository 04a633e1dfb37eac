"""What runs are compared by, and how its values are written."""

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from cnnlab.config.scoring import NO_SCORES
from cnnlab.runs.run import Run

Better = Literal["min", "max"]

USUAL: dict[str, Better | None] = {"accuracy": "max", "loss": "min", "val_accuracy": "max", "val_loss": "min"}
"""The columns of metrics.csv that every run has, and what counts as better of each."""

KINDS = ("best", "final", "mean")
"""The best and the last epoch, and the mean of all epochs, which says how fast it went."""


def measured_columns(runs: Iterable[Run]) -> dict[str, Better | None]:
    """The columns that say how well runs did, and what counts as better of each, as far as the runs know."""
    found = dict(USUAL)
    for run in runs:
        history, known = run.history(), run.record.get("better") or {}
        for name in history[0] if history else {}:
            if name not in NO_SCORES:
                found[name] = found.get(name) or known.get(name)
    return found


def metric_names(columns: dict[str, Better | None]) -> list[str]:
    """What runs can be compared by; where it is not known what is better, there is no best epoch."""
    return [f"{kind}_{name}" for name, better in columns.items() for kind in KINDS if kind != "best" or better]


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """Those columns of a table of runs that are metrics."""
    return [name for name in map(str, runs.columns) if is_metric(name)]


def is_metric(name: str) -> bool:
    return name.startswith(tuple(f"{kind}_" for kind in KINDS))


def column_of(metric: str) -> str:
    """The column of metrics.csv that a metric comes from."""
    return metric.partition("_")[2]


def format_metric(value: float, metric: str) -> str:
    """A value, or its standard deviation: accuracies in percent, losses in nats."""
    return f"{value:.2%}" if metric.endswith("accuracy") else _decimals(value)


def format_difference(mean: float, metric: str, interval: tuple[float, float] | None = None) -> str:
    """A difference of values, perhaps with its interval: of accuracies in percentage points."""
    share = metric.endswith("accuracy")
    shown, *ends = (f"{100 * value:+.2f}" if share else _decimals(value, "+") for value in (mean, *(interval or ())))
    return shown + (f" [{', '.join(ends)}]" if ends else "") + (" points" if share else "")


def _decimals(value: float, sign: str = "") -> str:
    """Four decimals; of what these would show as hardly more than nothing, three digits."""
    return f"{value:{sign}.4f}" if not 0 < abs(value) < 1e-3 else f"{value:{sign}.3g}"
