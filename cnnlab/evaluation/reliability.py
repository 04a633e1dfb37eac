"""The reliability diagram: is a model as often right as it is confident?"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from cnnlab.reporting.figure import (
    MUTED_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    new_figure,
    save_figure,
    style_axes,
    whole_ticks,
)

UNDER_COLOR = "#e6c200"
BARS: dict[str, Any] = {"align": "edge", "edgecolor": "white"}


def draw_reliability(table: pd.DataFrame, ece: float, path: Path, title: str) -> None:
    """Draw accuracy over confidence, the gap between them, and below how many images each bin holds.

    The gap has one colour and hatch where the model is over-confident, and others, above the diagonal, where it is
    under-confident.

    Args:
        table: the rows of `cnnlab.evaluation.metrics.calibration`.
        ece: the expected calibration error, in [0, 1].
        path: the PNG to write or replace.
        title: over both panels.
    """
    figure = new_figure(5.4, 7.2, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axes in (upper, lower):
        style_axes(axes)
    filled = table[table["count"] > 0]
    _draw_gaps(upper, filled)
    upper.plot([0, 1], [0, 1], color=MUTED_COLOR, linestyle="--", linewidth=1, label="perfect calibration")
    upper.set(xlim=(0, 1), ylim=(0, 1.01))
    upper.set_ylabel("accuracy", fontsize=9)
    upper.set_title(_summary(filled, ece), loc="left", fontsize=10)
    figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    lower.bar(filled["low"], filled["count"], filled["high"] - filled["low"], **BARS, color=MUTED_COLOR)
    whole_ticks(lower.yaxis, 4)
    lower.set_ylabel("images", fontsize=9)
    lower.set_xlabel("confidence: the probability of the predicted class", fontsize=9)
    upper.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    lower.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    save_figure(figure, path)


def _draw_gaps(axes: Axes, filled: pd.DataFrame) -> None:
    """A bar per bin up to the lesser of accuracy and mean confidence, the gap to the other, a line at the accuracy."""
    widths = filled["high"] - filled["low"]
    agreed = filled[["accuracy", "confidence"]].min(axis=1)
    gap = filled["confidence"] - filled["accuracy"]
    axes.bar(filled["low"], agreed, widths, **BARS, color=TRAIN_COLOR)
    over = BARS | {"color": VALIDATION_COLOR, "hatch": "////", "label": "over-confident: accuracy below confidence"}
    under = BARS | {"color": UNDER_COLOR, "hatch": r"\\\\", "label": "under-confident: accuracy above confidence"}
    axes.bar(filled["low"], gap.clip(lower=0), widths, bottom=agreed, **over)
    axes.bar(filled["low"], (-gap).clip(lower=0), widths, bottom=agreed, **under)
    line: dict[str, Any] = {"color": "black", "linewidth": 2.5, "zorder": 3}
    axes.hlines(filled["accuracy"], filled["low"], filled["high"], **line, label="accuracy")


def _summary(filled: pd.DataFrame, ece: float) -> str:
    """The error, and which way most of it goes."""
    weights = filled["count"] / filled["count"].sum()
    points = round(100 * float((weights * (filled["confidence"] - filled["accuracy"])).sum()), 1)
    way = f"{abs(points)} points {'above' if points > 0 else 'below'}" if points else "equal to"
    return f"expected calibration error {ece:.1%}\nmean confidence {way} the accuracy"
