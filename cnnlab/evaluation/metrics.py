"""The figures of a classifier on a labelled split, computed by scikit-learn and SciPy from its probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

CONFIDENCE_LEVEL = 0.95

AVERAGED = ("precision", "recall", "f1")
"""What is computed per class and averaged over those for which it is defined."""


def summarize(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Compute the headline figures of a split.

    Args:
        labels: (N,) class indices.
        probabilities: (N, K) float, each row summing to 1.

    Returns:
        JSON-ready figures: `examples`; `accuracy` and, with more than five classes, `top5_accuracy`, both in
        [0, 1]; `loss`, the mean cross-entropy in nats; `ece`, see `calibration`; `macro_precision`,
        `macro_recall` and `macro_f1`, unweighted means over the classes for which they are defined (see `per_class`),
        of which there are `precision_classes`, `recall_classes` and `f1_classes` among `classes`. Each `…_interval` is
        the 95 % interval [low, high]: Wilson's for the accuracies, Student's t for the loss, from 0 at least (None for
        one example).
    """
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    figures: dict[str, Any] = {"examples": len(labels)}
    figures |= _proportion("accuracy", metrics.accuracy_score(labels, predicted, normalize=False), len(labels))
    if len(classes) > 5:
        # Not scikit-learn's, which puts the last of equal classes first, where argmax has the first.
        hits = (true_rank(labels, probabilities) <= 5).sum()
        figures |= _proportion("top5_accuracy", hits, len(labels))
    figures |= _loss(labels, probabilities)
    figures["ece"] = expected_calibration_error(calibration(labels, probabilities))
    figures["classes"] = len(classes)
    each = metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=np.nan)
    for name, values in zip(AVERAGED, each, strict=False):
        figures |= {f"macro_{name}": float(np.nanmean(values)), f"{name}_classes": int(np.isfinite(values).sum())}
    return figures


def per_class(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, in label order.

    NaN stands for what is undefined: the precision of a class that was never predicted, the recall of one without an
    image, and the F1 of one that is neither.

    Args:
        labels: (N,) true class indices.
        predicted: (N,) predicted class indices.
        class_names: one name per class.
    """
    columns = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(class_names)), zero_division=np.nan
    )
    return pd.DataFrame({"class": named(class_names), **dict(zip((*AVERAGED, "support"), columns, strict=True))})


def confusion(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Counts of images by true class (rows) and predicted class (columns), (K, K) int."""
    counts = metrics.confusion_matrix(labels, predicted, labels=np.arange(len(class_names)))
    names = pd.Index(class_names, dtype=object)
    return pd.DataFrame(counts, index=names.rename("true"), columns=names)


def named(names: Sequence[str] | np.ndarray) -> pd.Series:
    """Names as a column of a table. Those that are not UTF-8 keep their bytes, which Arrow's strings would refuse."""
    return pd.Series(list(names), dtype=object)


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Compare confidence with accuracy: the data of a reliability diagram.

    Confidence is the probability of the predicted class, cut into equal-width bins (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, section 2).

    Args:
        labels: (N,) class indices.
        probabilities: (N, K).
        bins: the number of bins over [0, 1].

    Returns:
        One row per bin: `low`, `high`, `count`, mean `confidence` and `accuracy` (NaN where the bin is empty).
    """
    confidence = probabilities.max(axis=1).astype(np.float64).clip(0, 1)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    means = stats.binned_statistic(confidence, [confidence, correct], "mean", bins, (0, 1))
    counts = stats.binned_statistic(confidence, None, "count", bins, (0, 1)).statistic
    return pd.DataFrame(
        {
            "low": means.bin_edges[:-1],
            "high": means.bin_edges[1:],
            "count": counts.astype(int),
            "confidence": means.statistic[0],
            "accuracy": means.statistic[1],
        }
    )


def expected_calibration_error(table: pd.DataFrame) -> float:
    """The gap between confidence and accuracy, averaged over examples (Guo et al. 2017, equation 3), in [0, 1].

    Args:
        table: the rows of `calibration`.
    """
    filled = table[table["count"] > 0]
    return float(np.average((filled["accuracy"] - filled["confidence"]).abs(), weights=filled["count"]))


def true_rank(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(N,) int: the place of the true class among all by probability; 1 is a correct prediction."""
    ranks = stats.rankdata(-probabilities, method="ordinal", axis=1)
    return ranks[np.arange(len(labels)), labels].astype(int)


def _proportion(name: str, hits: float, examples: int) -> dict[str, Any]:
    interval = stats.binomtest(int(hits), examples).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return {name: float(hits) / examples, f"{name}_interval": [float(interval.low), float(interval.high)]}


def _loss(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    # Not scikit-learn's log_loss, for which a mistake in float32 costs 16 nats at most; in training it may cost more.
    # Here a probability of 0 costs 87, not infinity.
    floor = np.finfo(np.float32).tiny
    losses = -np.log(probabilities[np.arange(len(labels)), labels].astype(np.float64).clip(floor))
    loss = float(losses.mean())
    if len(labels) == 1:
        return {"loss": loss, "loss_interval": None}
    half_width = float(stats.t.ppf((1 + CONFIDENCE_LEVEL) / 2, len(labels) - 1) * stats.sem(losses))
    return {"loss": loss, "loss_interval": [max(0.0, loss - half_width), loss + half_width]}
