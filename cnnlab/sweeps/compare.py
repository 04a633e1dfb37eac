"""`cnnlab compare`: what the runs of a sweep have come to, and which of them truly differ."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically, write_table
from cnnlab.sweeps.collect import Comparison, collect
from cnnlab.sweeps.curves import draw_epochs, draw_steps, draw_time_to_accuracy
from cnnlab.sweeps.heatmap import draw_heatmap
from cnnlab.sweeps.notes import provenance_notes
from cnnlab.sweeps.page import write_page
from cnnlab.sweeps.pairs import write_pair
from cnnlab.sweeps.statistics import Difference, best_arm, paired_differences
from cnnlab.sweeps.tables import METRICS, SUMMARY_HEADS, runs_table, shown_summary, summary_table


def compare(config: DictConfig, directory: Path) -> None:
    """Write tables, curves, verdicts and a page about runs; print the folder.

    A sweep is compared in SWEEP/compare/, other runs in `directory`. Writes runs.csv, summary.csv,
    paired_differences.csv (see `statistics.Difference`), verdicts.txt, the figures and report.html; for exactly two
    runs also what_differs.csv, and disagreements-SPLIT.csv of splits on which both were judged.

    Args:
        config: conf/compare.yaml.
        directory: where the comparison of runs that are no sweep goes.

    Raises:
        UserError: there are no such runs, or none is done; no such metric or arm.
    """
    given = config.runs if isinstance(config.runs, str) else OmegaConf.to_container(config.runs)
    comparison = collect([given] if isinstance(given, str) else given)
    runs = runs_table(comparison)
    metric = _metric(runs, config.metric)
    baseline = _baseline(comparison, runs, metric, config.baseline)
    summary = summary_table(runs, config.confidence)
    paired = paired_differences(runs, metric, baseline, config.confidence)
    folder = comparison.folder / "compare" if comparison.folder else directory
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "runs.csv", runs)
    write_table(folder / "summary.csv", summary)
    write_table(folder / "paired_differences.csv", _table_of(paired))
    figures = list(_draw(comparison, runs, metric, config.smoothing, folder))
    notes, differing = provenance_notes(comparison), None
    if comparison.folder is None and len(comparison.entries) == 2:
        pair = write_pair(*(entry.run for entry in comparison.entries), folder, config.confidence)
        verdicts, differing = pair.sentences, pair.differing
        figures += pair.figures
    else:
        verdicts = [difference.sentence(metric) for difference in paired]
    verdicts += _explained(comparison)
    with write_atomically(folder / "verdicts.txt") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in [*verdicts, *notes]), "utf-8")
    write_page(folder, comparison, runs, summary, metric, verdicts, notes, figures, differing)
    _print(summary[summary["metric"] == metric], [*verdicts, *notes])
    print(folder)


def _draw(comparison: Comparison, runs: pd.DataFrame, metric: str, smoothing: int, folder: Path) -> Iterator[Path]:
    for column in ("accuracy", "loss"):
        path = folder / f"steps_{column}.png"
        draw_steps(comparison, column, path, smoothing)
        yield path
    for draw, name in ((draw_epochs, "epochs.png"), (draw_time_to_accuracy, "time_to_accuracy.png")):
        draw(comparison, folder / name)
        yield folder / name
    if len(comparison.keys) == 2:
        draw_heatmap(runs, tuple(comparison.keys), metric, folder / "heatmap.png")
        yield folder / "heatmap.png"


def _explained(comparison: Comparison) -> list[str]:
    return [
        f"{entry.path.name} is " + ": ".join(filter(None, (entry.status, entry.reason)))
        for entry in comparison.unfinished
    ]


def _table_of(paired: Sequence[Difference]) -> pd.DataFrame:
    columns = ("arm", "baseline", "n", "mean", "low", "high", "p", "adjusted", "distinguishable")
    rows = [{name: asdict(difference)[name] for name in columns} for difference in paired]
    table = pd.DataFrame(rows, columns=list(columns))
    table["seeds_needed"] = pd.array([difference.needed for difference in paired], dtype="Int64")
    return table


def _metric(runs: pd.DataFrame, given: str | None) -> str:
    """The metric that is judged; not given: the accuracy at the end, on the validation split where there is one."""
    if given is not None and given not in METRICS:
        near = did_you_mean(f"final_{given}" if f"final_{given}" in METRICS else given, METRICS)
        raise UserError(f"metric={given}: no such metric{near}; metrics: {', '.join(METRICS)}")
    done = runs[runs["status"] == "done"]
    choices = [given] if given else ["final_val_accuracy", "final_accuracy"]
    measured = [name for name in choices if done[name].notna().any()]
    if not measured:
        raise UserError(f"metric={given or choices[0]}: no run that is done has it")
    return measured[0]


def _baseline(comparison: Comparison, runs: pd.DataFrame, metric: str, given: str | None) -> str:
    if given is not None and given not in comparison.arms:
        near = did_you_mean(given, comparison.arms)
        raise UserError(f"baseline={given}: no such arm{near}; arms: {'; '.join(comparison.arms)}")
    return given or best_arm(runs, metric)


def _print(summary: pd.DataFrame, lines: Sequence[str]) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 120)
    table = Table(*SUMMARY_HEADS, box=None, pad_edge=False)
    for row in shown_summary(summary):
        table.add_row(*row)
    console.print(table)
    for line in lines:
        console.print(line, markup=False, highlight=False)
