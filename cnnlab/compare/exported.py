"""Exported files of a run beside the model that they were made of, image by image."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from cnnlab.compare.pairs import PREDICTIONS, Disagreement, disagreement, outdated
from cnnlab.runs.evaluations import Evaluation, read_evaluations
from cnnlab.runs.files import write_table
from cnnlab.runs.run import Run

_SAME = ("dataset", "root", "split", "tta", "changed")
"""What two evaluations have in common that are on the same images, in metrics.json."""


def write_exported(run: Run, folder: Path, confidence: float) -> list[str]:
    """Compare each evaluation of an exported file with the model's own on the same images, by McNemar's test.

    Args:
        run: the run.
        folder: where disagreements-SPLIT-BACKEND.csv goes, see `pairs.Disagreement`.
        confidence: of the intervals, and 1 - the level of the tests.

    Returns:
        A sentence on each; the differences are those in accuracy, in points of a percent. Evaluations of an earlier
        model are not compared, but told.
    """
    sentences, pairs = [], list(_pairs(run))
    for exported, own in pairs:
        if found := _disagreement(exported, own):
            write_table(folder / f"disagreements-{exported.folder.name}.csv", found.images)
            sentences.append(_sentence(found, confidence))
    lines = (line for pair in pairs for line in outdated([run, run], pair))
    return [*sentences, *dict.fromkeys(lines)]  # the model's own evaluation has several counterparts


def difference_interval(n: int, alone: tuple[int, int], confidence: float) -> tuple[float, float]:
    """An interval of the difference between two shares of the same n, the first minus the second.

    It is that of Clopper and Pearson (1934) of the first's share of those that count for one alone, of which there are
    as many as were found: as the exact test of McNemar takes it, which it therefore never contradicts.

    Args:
        n: how many there are.
        alone: how many count for the first alone, and for the second alone; not both 0.
        confidence: between 0 and 1.
    """
    differing = sum(alone)
    share = binomtest(alone[0], differing).proportion_ci(confidence, method="exact")
    return (2 * share.low - 1) * differing / n, (2 * share.high - 1) * differing / n


def _pairs(run: Run) -> Iterator[tuple[Evaluation, Evaluation]]:
    """Each evaluation of an exported file that has its counterpart, and that."""
    evaluations = read_evaluations(run)
    own = {_about(each.figures): each for each in evaluations if not each.figures.get("backend")}
    for each in evaluations:
        if each.figures.get("backend") and (other := own.get(_about(each.figures))):
            yield each, other


def _disagreement(exported: Evaluation, own: Evaluation) -> Disagreement | None:
    """What differs between two evaluations of the run's model as it is now."""
    one_model = exported.figures.get("model_sha256") == own.figures.get("model_sha256")  # which may be gone by now
    if not one_model or exported.is_outdated or own.is_outdated:
        return None
    tables = exported.folder / PREDICTIONS, own.folder / PREDICTIONS
    return disagreement(own.folder.name, (exported.figures["backend"], "Keras"), tables)


def _about(figures: dict[str, Any]) -> str:
    return json.dumps([figures.get(key) for key in _SAME], sort_keys=True)


def _sentence(found: Disagreement, confidence: float) -> str:
    lost = 100 * (found.alone[1] - found.alone[0]) / found.n
    said = f"{'lost' if lost >= 0 else 'gained'} {abs(lost):.2f} points of accuracy"
    images = f"the {found.n:,} images of the {found.split} split, at {found.correct / found.n:.2%}"
    if not any(found.alone):
        return f"{found.names[0]} {said} on {images}: both get the same ones right"
    low, high = (100 * end for end in difference_interval(found.n, found.alone, confidence))
    if lost >= 0:
        low, high = -high, -low  # of what is lost, as said
    verdict = f"McNemar's test: p = {found.p:.2g}{', not distinguishable' if found.p >= 1 - confidence else ''}"
    return (
        f"{found.names[0]} {said} on {images} ({100 * confidence:.4g} % interval {low:+.2f} to {high:+.2f}; {verdict})"
    )
