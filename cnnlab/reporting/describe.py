"""The headline figures of an evaluation, in words and percent; free of scikit-learn, so that reports stay quick."""

from collections.abc import Mapping
from typing import Any

UNDEFINED = "–"
"""Stands for a figure that is not defined, such as the recall of a class without an image."""

_NAMES = {  # with the format of the number
    "accuracy": ("accuracy", ".2%"),
    "top5_accuracy": ("top-5 accuracy", ".2%"),
    "loss": ("loss (nats)", ".4f"),
    "ece": ("expected calibration error", ".2%"),
    "macro_precision": ("precision, mean of {classes}", ".2%"),
    "macro_recall": ("recall, mean of {classes}", ".2%"),
    "macro_f1": ("F1, mean of {classes}", ".2%"),
    "examples": ("images", ",d"),
    "left_out": ("images left out, of classes that the model does not know", ",d"),
}


def describe(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The headline figures for people: name, value and 95 % interval ("" where there is none) of each.

    Args:
        figures: what `cnnlab.evaluation.metrics.summarize` returned, or the content of a metrics.json.
    """
    rows = []
    for key, (name, form) in _NAMES.items():
        if key in figures and (key, figures[key]) != ("left_out", 0):
            low_high = figures.get(f"{key}_interval")
            interval = f"{low_high[0]:{form}} to {low_high[1]:{form}}" if low_high else ""
            rows.append((name.format(classes=_classes(figures, key)), f"{figures[key]:{form}}", interval))
    scores = figures.get("metrics", {})
    return rows + [(name, f"{value:{score_format(name)}}", "") for name, value in scores.items()]


def score_format(name: str) -> str:
    """How people read a column of metrics.csv: accuracies in percent, losses and other metrics in four digits."""
    return ".2%" if name.endswith("accuracy") else ".4f"


def _classes(figures: Mapping[str, Any], key: str) -> str:
    """The classes that an average is over: all, or those for which it is defined."""
    total = figures.get("classes")
    defined = figures.get(f"{key.removeprefix('macro_')}_classes", total)
    return "classes" if defined == total else f"{defined} of {total} classes"
