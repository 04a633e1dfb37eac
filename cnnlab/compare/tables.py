"""The tables of a comparison: a row per run, and a row per configuration."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.compare.collect import Comparison, Entry
from cnnlab.compare.metrics import format_metric, measured_columns, metric_names, metrics_of
from cnnlab.compare.statistics import Difference, held_out_share, mean_interval
from cnnlab.runs.run import Run

LOG_WIDTH = 120
"""Characters of a table that no terminal limits."""


def runs_table(comparison: Comparison) -> pd.DataFrame:
    """One tidy row per run.

    Columns: run (the folder's name), configuration, the swept keys, seed, fold, status, counted (see
    `collect.Entry.counts`), reason, held_out (of folds: images that validate for each that trains), epochs, steps,
    the metrics (see `metric_names`; the best is the largest accuracy, the smallest loss, of the epochs' last
    validations, and of every validation for the metric that chose the best model), seconds of training,
    images_per_second (median over the epochs), commit. What was not measured is empty.
    """
    drawing = _drawing(comparison.entries)
    rows = [_row(entry, comparison.keys, entry.configuration in drawing) for entry in comparison.entries]
    columns = ["run", "configuration", *comparison.keys, "seed", "fold", "status", "counted", "reason", "held_out"]
    columns += ["epochs", "steps"]
    columns += [*metric_names(comparison.measured), "seconds", "images_per_second", "commit"]
    table = pd.DataFrame(rows, columns=[*dict.fromkeys(columns)])
    return table.astype({"held_out": float})


def summary_table(runs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """One row per configuration and metric, over the runs that count: one per seed and fold.

    Args:
        runs: see `runs_table`.
        confidence: of the interval.

    Returns:
        configuration, metric, n, mean, std (of the sample), low and high: the interval of the mean over seeds and
        folds, see `statistics.mean_interval`; empty for one run.
    """
    rows = []
    for configuration, group in runs[runs["counted"]].groupby("configuration", sort=False):
        for metric in metrics_of(runs):
            values = group[metric].dropna()
            if len(values):
                interval = mean_interval(values, metric, confidence, held_out_share(group))
                rows.append((configuration, metric, len(values), values.mean(), values.std(ddof=1), *interval))
    return pd.DataFrame(rows, columns=["configuration", "metric", "n", "mean", "std", "low", "high"])


def shown_summary(summary: pd.DataFrame, confidence: float, over: str) -> list[tuple[str, ...]]:
    """A summary as text, its heads first; what cannot be told of one run, or without scatter, is empty.

    Args:
        summary: of one metric, see `summary_table`.
        confidence: of its intervals.
        over: what its runs are called: seeds, or folds.
    """
    rows: list[tuple[str, ...]]
    rows = [("configuration", over, "mean", "std", f"{100 * confidence:.4g} % interval of the mean")]
    for row in summary.to_dict("records"):
        mean, std, low, high = (
            "" if pd.isna(row[name]) else format_metric(row[name], row["metric"])
            for name in ("mean", "std", "low", "high")
        )
        rows.append((row["configuration"], f"{row['n']}", mean, std, f"{low} to {high}" if low else ""))
    return rows


def _drawing(entries: Iterable[Entry]) -> set[str]:
    """The configurations of which each seed draws the images that validate it."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        fingerprints = entry.run.record.get("fingerprints", {}) if entry.run else {}
        if "validation" in fingerprints:
            found.setdefault(entry.configuration, set()).add(fingerprints["validation"])
    return {configuration for configuration, validations in found.items() if len(validations) > 1}


def _row(entry: Entry, keys: list[str], draws: bool) -> dict[str, object]:
    row: dict[str, object] = {"run": entry.path.name, "configuration": entry.configuration}
    row |= {key: entry.values[key] for key in keys}
    row |= {
        "seed": entry.seed,
        "fold": entry.fold,
        "status": entry.status,
        "counted": entry.counts,
        "reason": entry.reason,
    }
    if entry.run is None:
        return row
    if entry.fold is not None or draws:
        row["held_out"] = _held_out(entry.run)
    return row | measured(entry.run) | {"commit": entry.run.record.get("commit")}


def _held_out(run: Run) -> float | None:
    """How many images validate for each that trains; None where a run was stopped before it had looked at its data."""
    sizes = {name: split["images"] for name, split in run.record.get("data", {}).items()}
    return sizes["validation"] / sizes["train"] if "validation" in sizes else None


def measured(run: Run) -> dict[str, float]:
    """The figures of a run, by the columns of `runs_table`; empty before its first epoch has ended.

    Of a metric that became NaN, so are the last epoch and the mean; the best is that of the numbers.
    """
    rows = run.history()
    history = pd.DataFrame(rows)
    if history.empty:
        return {}
    row = {"epochs": history["epoch"].iloc[-1], "steps": history["step"].iloc[-1]}
    row |= {"seconds": history["seconds"].sum(), "images_per_second": history["images_per_second"].median()}
    best_model = run.record.get("best") or {}
    for metric, better in measured_columns([run]).items():
        values = pd.Series([row[metric] for row in rows if row.get(metric) is not None], dtype=float)
        chosen = [best_model["value"]] if best_model.get("monitor") == metric else []  # perhaps within an epoch
        candidates = pd.Series([*values, *chosen], dtype=float).dropna()
        if better and len(candidates):
            row[f"best_{metric}"] = candidates.max() if better == "max" else candidates.min()
        if len(values):
            row[f"final_{metric}"] = values.iloc[-1]
            row[f"mean_{metric}"] = values.mean(skipna=False)
    return row


def differences_table(paired: Sequence[Difference]) -> pd.DataFrame:
    """A row per configuration: its difference from the baseline; the columns are those of `Difference`."""
    columns = ["configuration", "baseline", "n", "mean", "low", "high", "p", "adjusted", "comparisons", "held_out"]
    table = pd.DataFrame([asdict(each) for each in paired], columns=[*columns, "distinguishable"])
    table["seeds_needed"] = pd.array([difference.needed for difference in paired], dtype="Int64")
    return table


def print_summary(summary: Sequence[Sequence[str]], lines: Sequence[str]) -> None:
    """Print the summary as a table on stderr, and `lines` below it."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else LOG_WIDTH)
    heads, *rows = summary
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=not sys.stderr.isatty())
