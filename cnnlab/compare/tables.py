"""The tables of a comparison: a row per run, and a row per arm."""

import pandas as pd

from cnnlab.compare.collect import Comparison, Entry
from cnnlab.compare.statistics import mean_interval
from cnnlab.runs.run import Run

MEASURED = ("accuracy", "loss", "val_accuracy", "val_loss")
METRICS = tuple(f"{kind}_{name}" for name in MEASURED for kind in ("best", "final", "mean"))
"""What runs can be judged by: the best and the last epoch, and the mean of all epochs, which says how fast it went."""


def runs_table(comparison: Comparison) -> pd.DataFrame:
    """One tidy row per run.

    Columns: run (the folder's name), arm, the swept keys, seed, status, counted (see `collect.Entry.counts`), reason,
    epochs, steps, `METRICS` (the best is the largest accuracy, the smallest loss), seconds of training,
    images_per_second (median over the epochs), commit. What was not measured is empty.
    """
    rows = [_row(entry, comparison.keys) for entry in comparison.entries]
    columns = ["run", "arm", *comparison.keys, "seed", "status", "counted", "reason", "epochs", "steps"]
    columns += [*METRICS, "seconds", "images_per_second", "commit"]
    return pd.DataFrame(rows, columns=[*dict.fromkeys(columns)])


def summary_table(runs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """One row per arm and metric, over the runs that count: one per seed.

    Args:
        runs: see `runs_table`.
        confidence: of the interval.

    Returns:
        arm, metric, n, mean, std (of the sample), low and high: the interval of the mean over seeds, see
        `statistics.mean_interval`; empty for one seed.
    """
    rows = []
    for arm, group in runs[runs["counted"]].groupby("arm", sort=False):
        for metric in METRICS:
            values = group[metric].dropna()
            if len(values):
                interval = mean_interval(values, metric, confidence)
                rows.append((arm, metric, len(values), values.mean(), values.std(ddof=1), *interval))
    return pd.DataFrame(rows, columns=["arm", "metric", "n", "mean", "std", "low", "high"])


def shown_summary(summary: pd.DataFrame, confidence: float) -> list[tuple[str, ...]]:
    """A summary as text, its heads first; what cannot be told of one seed, or without scatter, is empty."""
    rows = [("configuration", "seeds", "mean", "std", f"{100 * confidence:.4g} % interval of the mean")]
    for row in summary.itertuples():
        deviation = "" if pd.isna(row.std) else f"{row.std:.4f}"
        interval = "" if pd.isna(row.low) else f"{row.low:.4f} to {row.high:.4f}"
        rows.append((row.arm, f"{row.n}", f"{row.mean:.4f}", deviation, interval))
    return rows


def _row(entry: Entry, keys: list[str]) -> dict[str, object]:
    row = {"run": entry.path.name, "arm": entry.arm, **{key: entry.values[key] for key in keys}, "seed": entry.seed}
    row |= {"status": entry.status, "counted": entry.counts, "reason": entry.reason}
    if entry.run is None:
        return row
    return row | measured(entry.run) | {"commit": entry.run.record.get("commit")}


def measured(run: Run) -> dict[str, float]:
    """The figures of a run, by the columns of `runs_table`; empty before its first epoch has ended."""
    history = pd.DataFrame(run.history())
    if history.empty:
        return {}
    row = {"epochs": history["epoch"].iloc[-1], "steps": history["step"].iloc[-1]}
    row |= {"seconds": history["seconds"].sum(), "images_per_second": history["images_per_second"].median()}
    for metric in MEASURED:
        values = pd.to_numeric(history[metric]).dropna() if metric in history else pd.Series(dtype=float)
        if len(values):
            row[f"best_{metric}"] = values.max() if metric.endswith("accuracy") else values.min()
            row[f"final_{metric}"] = values.iloc[-1]
            row[f"mean_{metric}"] = values.mean()
    return row
