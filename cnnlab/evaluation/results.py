"""What an evaluation leaves on disk: tables, figures and metrics.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.evaluation.confusion import draw_confusion
from cnnlab.evaluation.metrics import calibration, confusion, named, per_class, summarize, true_rank
from cnnlab.evaluation.mistakes import draw_mistakes
from cnnlab.evaluation.reliability import draw_reliability
from cnnlab.runs.files import replace_files, write_json, write_table


def write_results(
    folder: Path,
    split: Split,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    title: str,
    about: Mapping[str, Any],
    positions: np.ndarray,
    scores: Mapping[str, float],
) -> dict[str, Any]:
    """Write metrics.json, four CSV tables and three figures, which replace their predecessors together.

    metrics.json comes last: where it is there, the rest is. If one cannot be written, all that were there stay.

    Args:
        folder: where to write; made where it is missing.
        split: the N evaluated images and their labels.
        probabilities: (N, K).
        class_names: K names.
        title: of the figures: the dataset and the split.
        about: what was evaluated, put before the figures in metrics.json.
        positions: (N,) where the images are in the split as it is on disk.
        scores: the values of the configuration's metrics, which stand as `metrics` in metrics.json.

    Returns:
        The content of metrics.json.
    """
    predicted = probabilities.argmax(axis=1)
    figures = summarize(split.labels, probabilities)
    counts = confusion(split.labels, predicted, class_names)
    reliability = calibration(split.labels, probabilities)
    score = f"{figures['accuracy']:.2%} of {len(split):,} images correct"
    metrics = {**about, **figures, "metrics": dict(scores)}
    with replace_files(folder, last="metrics.json") as new:
        write_table(new / "confusion_matrix.csv", counts, index=True)
        write_table(new / "per_class.csv", per_class(split.labels, predicted, class_names))
        write_table(new / "calibration.csv", reliability)
        write_table(new / "predictions.csv", _predictions(split, probabilities, class_names, positions))
        draw_confusion(counts, new / "confusion_matrix.png", f"{title} · {score}")
        draw_reliability(reliability, figures["ece"], new / "calibration.png", f"{title} · calibration")
        gallery = f"{title} · most confident mistakes (red: predicted)"
        draw_mistakes(split, probabilities, class_names, new / "mistakes.png", gallery, positions=positions)
        write_json(new / "metrics.json", metrics)
    return metrics


def _predictions(
    split: Split, probabilities: np.ndarray, class_names: tuple[str, ...], positions: np.ndarray
) -> pd.DataFrame:
    """One row per image, in the order of the split; `true_rank` is 1 where the prediction is correct."""
    names = np.array(class_names, dtype=object)
    predicted = probabilities.argmax(axis=1)
    table = pd.DataFrame({"index": positions})
    if isinstance(split.images, ImageFiles):
        table["file"] = named(split.images.paths)
    table["true"] = named(names[split.labels])
    table["predicted"] = named(names[predicted])
    table["confidence"] = probabilities.max(axis=1)
    table["true_rank"] = true_rank(split.labels, probabilities)
    return table
