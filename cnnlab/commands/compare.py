"""`cnnlab compare`: what the runs of a sweep have come to, and which of them truly differ."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.compare.collect import Comparison, collect
from cnnlab.compare.curves import draw_epochs, draw_steps, draw_time_to_accuracy
from cnnlab.compare.heatmap import draw_heatmap
from cnnlab.compare.metrics import METRICS
from cnnlab.compare.notes import counting_notes, provenance_notes
from cnnlab.compare.page import write_page
from cnnlab.compare.pairs import write_pair
from cnnlab.compare.statistics import Difference, best_configuration, paired_differences
from cnnlab.compare.tables import runs_table, shown_summary, summary_table
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically, write_table

LOG_WIDTH = 120
"""Characters of a table that no terminal limits."""


def compare(config: DictConfig, directory: Path) -> None:
    """Write tables, curves, verdicts and a page about runs; print the folder.

    A sweep is compared in SWEEP/compare/, other runs in `directory`. Writes runs.csv, summary.csv,
    paired_differences.csv (see `statistics.Difference`), verdicts.txt, the figures and report.html; for exactly two
    runs also what_differs.csv, and disagreements-SPLIT.csv of splits on which both were evaluated. Runs of one
    configuration and seed are one observation, for which the newest counts.

    Args:
        config: conf/compare.yaml.
        directory: where the comparison of runs that are no sweep goes.

    Raises:
        UserError: there are no such runs, or none is done; no such metric or baseline.
    """
    given = config.runs if isinstance(config.runs, str) else OmegaConf.to_container(config.runs)
    comparison = collect([given] if isinstance(given, str) else given)
    runs = runs_table(comparison)
    metric = _metric(runs, config.metric)
    given_baseline = None if config.baseline is None else find_configuration(config.baseline, comparison.configurations)
    baseline = given_baseline or best_configuration(runs, metric)
    summary = summary_table(runs, config.confidence)
    paired = paired_differences(runs, metric, baseline, config.confidence, chosen=given_baseline is None)
    folder = comparison.folder / "compare" if comparison.folder else directory
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "runs.csv", runs)
    write_table(folder / "summary.csv", summary)
    write_table(folder / "paired_differences.csv", _table_of(paired))
    figures = list(_draw(comparison, runs, metric, config.smoothing, folder))
    notes, differing = [*counting_notes(comparison, runs, metric), *provenance_notes(comparison)], None
    of_metric = summary[summary["metric"] == metric]
    method = [_interval_of_means(metric, config.confidence)] if of_metric["low"].notna().any() else []
    if comparison.folder is None and len(comparison.entries) == 2:
        pair = write_pair(*(entry.run for entry in comparison.entries), folder, config.confidence)
        verdicts, differing = pair.sentences, pair.differing
        figures += pair.figures
    else:
        verdicts = [difference.sentence(metric) for difference in paired]
        method = [*_method(paired, of_metric, metric, given_baseline is not None), *method]
    with write_atomically(folder / "verdicts.txt") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in [*verdicts, *method, *notes]), "utf-8")
    shown = shown_summary(of_metric, config.confidence)
    write_page(folder, comparison, runs, shown, metric, verdicts, method, notes, figures, differing)
    _print(shown, [*verdicts, *method, *notes])
    print(folder)


def find_configuration(given: str, configurations: Sequence[str]) -> str:
    """The one configuration that a name, or some of its `key=value`, or a value alone, stands for.

    Raises:
        UserError: none or several are meant.
    """
    name = _spaced(given)
    before = r"^|, |\." if "=" in name else r"^|, |="
    part = re.compile(rf"(?:{before}){re.escape(name)}(?:, |$)")
    spaced = {_spaced(each): each for each in configurations}
    found = [spaced[name]] if name in spaced else [each for text, each in spaced.items() if part.search(text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"baseline={given}: several configurations fit: {'; '.join(found)}; give all of one's name")
    parts = [part for each in configurations for part in each.split(", ")]
    near = did_you_mean(name, [*configurations, *parts, *(part.rpartition("=")[2] for part in parts)])
    raise UserError(f"baseline={given}: no such configuration{near}; there are {'; '.join(configurations)}")


def _spaced(name: str) -> str:
    """A name with a space after every comma, whether it was typed or not."""
    return ", ".join(re.split(r"\s*,\s*", name.strip()))


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


def _method(paired: Sequence[Difference], of_metric: pd.DataFrame, metric: str, given: bool) -> Iterator[str]:
    """How the verdicts were reached: the baseline, and the correction."""
    if not paired:
        return
    baseline, count = paired[0].baseline, paired[0].comparisons
    best = "smallest" if metric.endswith("loss") else "largest"
    several = " of two seeds or more" if of_metric["n"].min() < 2 <= of_metric["n"].max() else ""
    choice = "as given" if given else f"the {best} mean {metric}{several}; choose another with baseline=NAME"
    yield f"baseline: {baseline} ({choice})"
    if max(difference.n for difference in paired) < 2:
        return
    noun = "comparison" if count == 1 else "comparisons"
    pairs = "the pairs with the baseline" if given else "all pairs, since these results chose the baseline"
    yield (
        f"differences: paired t tests over shared seeds; p and intervals are Bonferroni-corrected for {count} "
        f"{noun} ({pairs}) and hold together at {_percent(1 - paired[0].level)}"
    )


def _interval_of_means(metric: str, confidence: float) -> str:
    scale = "logit" if metric.endswith("accuracy") else "log"
    each = f"{_percent(confidence)} each, not corrected"
    return f"intervals of means: Student's t over the seeds, on the {scale} scale, {each}"


def _table_of(paired: Sequence[Difference]) -> pd.DataFrame:
    columns = ["configuration", "baseline", "n", "mean", "low", "high", "p", "adjusted", "comparisons"]
    table = pd.DataFrame([asdict(each) for each in paired], columns=[*columns, "distinguishable"])
    table["seeds_needed"] = pd.array([difference.needed for difference in paired], dtype="Int64")
    return table


def _metric(runs: pd.DataFrame, given: str | None) -> str:
    """The metric that is compared; not given: the accuracy at the end, on the validation split where there is one."""
    if given is not None and given not in METRICS:
        near = did_you_mean(f"final_{given}" if f"final_{given}" in METRICS else given, METRICS)
        raise UserError(f"metric={given}: no such metric{near}; metrics: {', '.join(METRICS)}")
    done = runs[runs["status"] == "done"]
    choices = [given] if given else ["final_val_accuracy", "final_accuracy"]
    measured = [name for name in choices if done[name].notna().any()]
    if not measured:
        raise UserError(f"metric={given or choices[0]}: no run that is done has it")
    return measured[0]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _print(summary: Sequence[Sequence[str]], lines: Sequence[str]) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else LOG_WIDTH)
    heads, *rows = summary
    table = Table(*heads, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=not sys.stderr.isatty())
