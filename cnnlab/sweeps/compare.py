"""`cnnlab compare`: what the runs of a sweep have come to, and which of them truly differ."""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.sweeps.collect import Comparison, collect
from cnnlab.sweeps.curves import draw_steps
from cnnlab.sweeps.statistics import best_arm, paired_differences
from cnnlab.sweeps.tables import runs_table, summary_table


def compare(config: DictConfig, directory: Path) -> None:
    """Write tables, curves and verdicts about runs; print the folder.

    A sweep is compared in SWEEP/compare/, other runs in `directory`. Writes runs.csv, summary.csv, differences.csv
    (columns of `statistics.Difference`), verdicts.txt, accuracy.png and loss.png.

    Args:
        config: conf/compare.yaml.
        directory: where the comparison of runs that are no sweep goes.

    Raises:
        UserError: there are no such runs, or none is done; no such metric or arm.
    """
    given = config.runs if isinstance(config.runs, str) else OmegaConf.to_container(config.runs)
    comparison = collect([given] if isinstance(given, str) else given)
    runs = runs_table(comparison)
    baseline = _baseline(comparison, runs, config)
    summary = summary_table(runs, config.confidence)
    differences = paired_differences(runs, config.metric, baseline, config.confidence)
    folder = comparison.folder / "compare" if comparison.folder else directory
    folder.mkdir(parents=True, exist_ok=True)
    runs.to_csv(folder / "runs.csv", index=False, float_format="%.6g")
    summary.to_csv(folder / "summary.csv", index=False, float_format="%.6g")
    verdicts = [difference.sentence(config.metric) for difference in differences]
    verdicts += [
        entry.path.name + " is " + ": ".join(filter(None, (entry.status, entry.reason)))
        for entry in comparison.unfinished
    ]
    (folder / "verdicts.txt").write_text("".join(f"{verdict}\n" for verdict in verdicts))
    for column in ("accuracy", "loss"):
        draw_steps(comparison, column, folder / f"{column}.png", config.smoothing)
    _print(summary[summary["metric"] == config.metric], verdicts)
    print(folder)


def _baseline(comparison: Comparison, runs, config: DictConfig) -> str:
    metrics = [name for name in runs.columns if name.startswith(("best_", "final_"))]
    if config.metric not in metrics:
        near = did_you_mean(config.metric, metrics)
        raise UserError(f"metric={config.metric}: no such metric{near}; metrics: {', '.join(metrics)}")
    if config.baseline is not None and config.baseline not in comparison.arms:
        near = did_you_mean(config.baseline, comparison.arms)
        raise UserError(f"baseline={config.baseline}: no such arm{near}; arms: {'; '.join(comparison.arms)}")
    baseline = config.baseline or best_arm(runs, config.metric)
    if baseline is None:
        raise UserError(f"runs={config.runs}: no run is done that has {config.metric}")
    return baseline


def _print(summary, verdicts: list[str]) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    table = Table("arm", "n", "mean", "std", "interval", box=None, pad_edge=False)
    for row in summary.itertuples():
        table.add_row(row.arm, f"{row.n}", f"{row.mean:.4f}", f"{row.std:.4f}", f"{row.low:.4f} to {row.high:.4f}")
    console.print(table)
    for verdict in verdicts:
        console.print(verdict, markup=False, highlight=False)
