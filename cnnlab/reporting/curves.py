"""The curves of a training: loss, accuracy and metrics over the epochs, on the training and the validation split."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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

History = Sequence[Mapping[str, Any]]


def draw_curves(history: History, path: Path, best_epoch: int | None = None, title: str | None = None) -> None:
    """Draw loss and accuracy side by side into a PNG, and below them what else is measured on the validation split.

    Args:
        history: the rows of metrics.csv; missing, empty and non-finite values leave a gap.
        path: the PNG to write or replace.
        best_epoch: the epoch to mark; None marks none.
        title: over both panels, for example the run's name.
    """
    measured = [name.removeprefix("val_") for row in history[:1] for name in row if name.startswith("val_")]
    others = [name for name in measured if name not in ("loss", "accuracy")]
    rows = 1 + math.ceil(len(others) / 2)
    figure = new_figure(10, 4.2 * rows + (0.2 if title else 0), title)
    loss_axes, accuracy_axes, *other_axes = figure.subplots(rows, 2).flat
    _draw_panel(loss_axes, history, "loss", best_epoch)
    loss_axes.set_title("Loss (nats)", loc="left", fontsize=10)
    _draw_panel(accuracy_axes, history, "accuracy", best_epoch)
    accuracy_axes.set_title("Accuracy", loc="left", fontsize=10)
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    for name, axes in zip(others, other_axes, strict=False):
        _draw_panel(axes, history, name, best_epoch)
        axes.set_title(name, loc="left", fontsize=10)
    for axes in other_axes[len(others) :]:
        axes.set_visible(False)
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:  # below the panels, where it hides nothing
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)


def _draw_panel(axes: Axes, history: History, column: str, best_epoch: int | None) -> None:
    style_axes(axes)
    for name, label, color in (
        (column, "train", TRAIN_COLOR),
        (f"val_{column}", "validation", VALIDATION_COLOR),
    ):
        epochs, values = _series(history, name)
        if values:
            marker = "o" if len(values) <= 40 else None
            axes.plot(epochs, values, color=color, label=label, linewidth=1.8, marker=marker, markersize=3.5)
    if best_epoch is not None:
        axes.axvline(
            best_epoch, color=MUTED_COLOR, linestyle="--", linewidth=1, label=f"best: epoch {best_epoch}", zorder=1
        )
    axes.set_xlabel("epoch", fontsize=9)
    whole_ticks(axes.xaxis)
    if history:
        axes.set_xlim(history[0]["epoch"] - 0.5, history[-1]["epoch"] + 0.5)


def _series(history: History, column: str) -> tuple[list[int], list[float]]:
    """The epochs at which a column has a finite value, and those values."""
    points = [
        (int(row["epoch"]), float(row[column]))
        for row in history
        if row.get(column) not in (None, "") and math.isfinite(float(row[column]))
    ]
    return [epoch for epoch, _ in points], [value for _, value in points]
