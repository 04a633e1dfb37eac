"""What is to be known of runs that are compared beside their figures: what counts, and in what else they differ."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.compare.collect import Comparison, Entry, Observation, same_configuration
from cnnlab.compare.metrics import Better, format_metric
from cnnlab.compare.statistics import Difference
from cnnlab.config.flat import flat
from cnnlab.runs.run import Run

CIRCUMSTANCES = ("commit", "dirty", "precision", "threads", "replicas", "host.processor")
"""Keys of a run's record that may move its numbers; so may all versions."""


def circumstances(run: Run) -> dict[str, Any]:
    """The code, the versions and the machine of a run, by their keys in run.json."""
    record = flat(dict(run.record))
    return {key: value for key, value in record.items() if key in CIRCUMSTANCES or key.startswith("versions.")}


def counting_notes(comparison: Comparison, runs: pd.DataFrame, metric: str) -> list[str]:
    """A line for every observation that was made several times, for what does not count, also of the metric alone, for
    what is no run, and where a sweep's swept keys do not name its configurations.

    Args:
        comparison: whose runs are told of.
        runs: see `tables.runs_table`.
        metric: whose values are told where they differ.
    """
    values = dict(zip((entry.path for entry in comparison.entries), runs[metric], strict=True))
    observations: dict[Observation, list[Entry]] = {}
    for entry in comparison.entries:
        if entry.status == "done":
            observations.setdefault(entry.observation, []).append(entry)
    notes = [_counted_once(entries, values, metric) for entries in observations.values() if len(entries) > 1]
    if comparison.pair and same_configuration(*comparison.pair):
        names = " and ".join(entry.configuration for entry in comparison.entries)
        notes.append(f"{names} have one configuration and seed: they are one observation")
    for entry in comparison.unfinished:
        notes.append(f"{entry.path.name} is " + ": ".join(filter(None, (entry.status, entry.reason))))
    for entry in comparison.entries:
        if entry.counts and pd.isna(values[entry.path]):
            notes.append(f"{entry.path.name} is done, but has no number for {metric}: it does not count in that")
    if comparison.by_settings:
        what = "its swept keys do not tell all of its jobs apart, which are of several grids"
        notes.append(f"{what}: configurations are called by the settings in which the runs differ")
    if comparison.left_out:
        names = ", ".join(folder.name for folder in comparison.left_out)
        notes.append(f"left out, for there is no run in it: {names}")
    return notes


def _counted_once(entries: Sequence[Entry], values: Mapping[Path, float], metric: str) -> str:
    """The line about runs of one configuration and seed."""
    above = os.path.commonpath([entry.path.parent for entry in entries])
    names = {entry.path: os.path.relpath(entry.path, above) for entry in entries}
    (newest,) = (names[entry.path] for entry in entries if entry.counts)
    found = [values[entry.path] for entry in entries]
    equal = f"their {metric} is equal"
    if len(set(found)) > 1:
        equal = f"their {metric} differs: {', '.join(format_metric(value, metric) for value in found)}"
    configuration, seed, fold = entries[0].observation
    shared = f"{configuration}, seed {seed}" + ("" if fold is None else f", fold {fold}")
    what = f"{', '.join(names.values())} have one configuration and seed ({shared})"
    return f"{what}: they are one observation, for which the newest counts, {newest}; {equal}"


def provenance_notes(comparison: Comparison) -> list[str]:
    """A line for everything in which runs differ that no key of the configuration tells: commits, versions, threads."""
    records = [circumstances(entry.run) for entry in comparison.entries if entry.run]
    keys = dict.fromkeys(key for record in records for key in record)
    return [note for key in keys for note in _note(key, records)]


def _note(key: str, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counts = Counter(_shown(key, record.get(key)) for record in records)
    if len(counts) > 1:
        shares = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
        yield f"the runs differ in {key}: {shares}"


def _shown(key: str, value: Any) -> str:
    return str(value)[:9] if key == "commit" and value else str(value)


def method_notes(
    paired: Sequence[Difference], of_metric: pd.DataFrame, metric: str, better: Better | None, given: bool
) -> Iterator[str]:
    """How the verdicts were reached: the baseline, and the correction."""
    if not paired:
        return
    baseline, count = paired[0].baseline, paired[0].comparisons
    best = "smallest" if better == "min" else "largest"
    held_out = max(difference.held_out for difference in paired)
    runs = paired[0].over
    several = f" of two {runs} or more" if of_metric["n"].min() < 2 <= of_metric["n"].max() else ""
    choice = "as given" if given else f"the {best} mean {metric}{several}; choose another with baseline=NAME"
    yield f"baseline: {baseline} ({choice})"
    if max(difference.n for difference in paired) < 2:
        return
    test = "paired t tests over shared seeds"
    if held_out:
        test = (
            f"Nadeau and Bengio's corrected resampled t tests over shared {runs}, whose training images are partly the "
            f"same: the variance of a mean of n differences is (1/n + {held_out:.3g}) times theirs"
        )
    noun = "comparison" if count == 1 else "comparisons"
    pairs = "the pairs with the baseline" if given else "all pairs, since these results chose the baseline"
    yield (
        f"differences: {test}; p and intervals are Bonferroni-corrected for {count} "
        f"{noun} ({pairs}) and hold together at {_percent(1 - paired[0].level)}"
    )


def interval_note(metric: str, confidence: float, over: str, is_widened: bool) -> str:
    """What the intervals of means are intervals of; `over` is seeds or folds."""
    scales = {"accuracy": ", on the logit scale", "loss": ", on the log scale"}
    scale = next((scale for ending, scale in scales.items() if metric.endswith(ending)), "")
    each = f"{_percent(confidence)} each, not corrected"
    corrected = ", widened for the training images they share" if is_widened else ""
    return f"intervals of means: Student's t over the {over}{corrected}{scale}, {each}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
