"""Exported files of a run beside the model that they were made of, image by image."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from cnnlab.compare.pairs import Disagreement, disagreement
from cnnlab.runs.files import write_table
from cnnlab.runs.run import Run

_SAME = ("dataset", "root", "split", "tta", "changed", "model_sha256")
"""What two evaluations have in common that are of one model on the same images, in metrics.json."""


def write_exported(run: Run, folder: Path, confidence: float) -> list[str]:
    """Compare each evaluation of an exported file with the model's own on the same images, by McNemar's test.

    Args:
        run: the run.
        folder: where disagreements-SPLIT-BACKEND.csv goes, see `pairs.Disagreement`.
        confidence: of the intervals, and 1 - the level of the tests.

    Returns:
        A sentence on each; the differences are those in accuracy, in points of a percent.
    """
    sentences = []
    for name, found in _pairs(run):
        write_table(folder / f"disagreements-{name}.csv", found.images)
        sentences.append(_sentence(found, confidence))
    return sentences


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


def _pairs(run: Run) -> Iterator[tuple[str, Disagreement]]:
    """Each evaluation of an exported file that has its counterpart: the folder's name, and what differs."""
    found = sorted((run.path / "eval").glob("*/metrics.json"))
    evaluations = {path.parent: json.loads(path.read_text("utf-8")) for path in found}
    own = {_about(figures): folder for folder, figures in evaluations.items() if not figures.get("backend")}
    for folder, figures in evaluations.items():
        other = own.get(_about(figures))
        if figures.get("backend") and other:
            names = figures["backend"], "Keras"
            tables = folder / "predictions.csv", other / "predictions.csv"
            if pair := disagreement(other.name, names, tables):
                yield folder.name, pair


def _about(figures: dict[str, Any]) -> str:
    return json.dumps([figures.get(key) for key in _SAME], sort_keys=True)


def _sentence(found: Disagreement, confidence: float) -> str:
    lost = 100 * (found.alone[1] - found.alone[0]) / found.n
    said = f"{'lost' if lost >= 0 else 'gained'} {abs(lost):.2f} points of accuracy"
    images = f"the {found.n:,} images of the {found.split} split, at {found.correct / found.n:.2%}"
    if not any(found.alone):
        return f"{found.names[0]} {said} on {images}: both get the same ones right"
    low, high = (100 * end for end in difference_interval(found.n, found.alone, confidence))
    verdict = f"McNemar's test: p = {found.p:.2g}{', not distinguishable' if found.p >= 1 - confidence else ''}"
    return (
        f"{found.names[0]} {said} on {images} ({100 * confidence:.4g} % interval of the difference {low:+.2f} to "
        f"{high:+.2f}; {verdict})"
    )
