"""The reliability diagram: is a model as often right as it is confident?"""

from pathlib import Path

import pandas as pd
from matplotlib.ticker import PercentFormatter

from cnnlab.evaluation.figure import (
    MUTED_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    new_figure,
    save_figure,
    style_axes,
)


def draw_reliability(table: pd.DataFrame, ece: float, path: Path, title: str) -> None:
    """Draw accuracy over confidence, the gap to perfect calibration, and below how many images each bin holds.

    Args:
        table: the rows of `cnnlab.evaluation.metrics.calibration`.
        ece: the expected calibration error, in [0, 1].
        path: the PNG to write or replace.
        title: over both panels.
    """
    figure = new_figure(5.4, 6.4, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = table[table["count"] > 0]
    place = {"x": filled["low"], "width": filled["high"] - filled["low"], "align": "edge"}
    upper.bar(height=filled["accuracy"], color=TRAIN_COLOR, edgecolor="white", label="accuracy", **place)
    upper.bar(
        bottom=filled["accuracy"],
        height=filled["confidence"] - filled["accuracy"],
        color=(1, 1, 1, 0.35),
        edgecolor=VALIDATION_COLOR,
        hatch="////",
        linewidth=0,
        label="gap to the mean confidence",
        **place,
    )
    upper.plot([0, 1], [0, 1], color=MUTED_COLOR, linestyle="--", linewidth=1, label="perfect calibration")
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("accuracy", fontsize=9)
    upper.set_title(f"expected calibration error {ece:.1%}", loc="left", fontsize=10)
    upper.legend(frameon=False, fontsize=9, loc="upper left")
    lower.bar(height=filled["count"], color=MUTED_COLOR, edgecolor="white", **place)
    lower.set_ylabel("images", fontsize=9)
    lower.set_xlabel("confidence: the probability of the predicted class", fontsize=9)
    for axes in (upper, lower):
        style_axes(axes)
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    save_figure(figure, path)
