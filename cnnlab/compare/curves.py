"""Curves of many runs: a colour per configuration, and what its seeds scatter by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter
from matplotlib.typing import ColorType

from cnnlab.compare.collect import Comparison, seed_of
from cnnlab.reporting.figure import new_figure, save_figure, shorten, style_axes
from cnnlab.runs.run import Run

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"]
"""Told apart by the colour-blind (Okabe & Ito 2008); more configurations take colours from a map."""


LONGEST_LABEL = 60


def draw_steps(comparison: Comparison, column: str, path: Path, smoothing: int) -> None:
    """Draw a training figure against the step: per configuration the mean over seeds, and their span.

    A run that diverged is drawn by itself, dotted, up to a cross where it ended.

    Args:
        comparison: whose finished runs are drawn, as far as all seeds of a configuration go.
        column: of steps.csv: accuracy or loss.
        path: the PNG to write or replace.
        smoothing: steps of the running mean.
    """
    figure = new_figure(8.5, 5, f"{comparison.name} · training {column}, mean of {smoothing} steps")
    axes = figure.subplots()
    _style(axes, column)
    for name, color in _colors(comparison).items():
        curves = [_running_mean(run, column, smoothing) for run in comparison.of_configuration(name, "done")]
        if curves:
            _draw_band(axes, curves, color, label=_label(name, len(curves)))
        for run in comparison.of_configuration(name, "diverged"):
            label = f"{shorten(name, LONGEST_LABEL)}, seed {seed_of(run)}: diverged"
            _draw_diverged(axes, _running_mean(run, column, smoothing), color, label)
    axes.set_xlabel(f"step; the band spans the {comparison.over}", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, axes)
    save_figure(figure, path)


def draw_epochs(comparison: Comparison, path: Path) -> None:
    """Draw loss and accuracy against the epoch: training solid, validation dashed, a band over the seeds of each.

    Args:
        comparison: whose finished runs are drawn, as far as all seeds of a configuration go.
        path: the PNG to write or replace.
    """
    figure = new_figure(10, 5, f"{comparison.name} · epochs: training (solid) and validation (dashed)")
    panels = dict(zip(("loss", "accuracy"), figure.subplots(1, 2), strict=True))
    for column, axes in panels.items():
        _style(axes, column)
        for name, color in _colors(comparison).items():
            histories = [_history(run) for run in comparison.of_configuration(name, "done")]
            for measured, line in ((column, "-"), (f"val_{column}", "--")):
                curves = [history.set_index("epoch")[measured].dropna() for history in histories if measured in history]
                curves = [curve for curve in curves if len(curve)]
                if curves:
                    label = _label(name, len(curves)) if line == "-" else None
                    _draw_band(axes, curves, color, label=label, linestyle=line, marker="o", markersize=3)
        axes.set_xlabel(f"epoch; the bands span the {comparison.over}", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, panels["loss"])
    save_figure(figure, path)


def draw_time_to_accuracy(comparison: Comparison, path: Path) -> None:
    """Draw accuracy against seconds of training and against images seen: thin lines are runs, thick ones their means.

    Of the validation split where there is one, else of the training. The seconds are those of metrics.csv: all that
    passed, with compilation, validation and checkpoints.

    Args:
        comparison: whose finished runs are drawn.
        path: the PNG to write or replace.
    """
    names = comparison.configurations
    histories = {name: [_history(run) for run in comparison.of_configuration(name, "done")] for name in names}
    measured = [history for runs in histories.values() for history in runs]
    column = "val_accuracy" if any(history["val_accuracy"].notna().any() for history in measured) else "accuracy"
    what = "validation accuracy" if column == "val_accuracy" else "training accuracy"
    figure = new_figure(10, 5, f"{comparison.name} · {what} against time and images")
    panels = dict(zip(("seconds_so_far", "images"), figure.subplots(1, 2), strict=True))
    for horizontal, axes in panels.items():
        _style(axes, column)
        for name, color in _colors(comparison).items():
            runs = [history.dropna(subset=[column]) for history in histories[name]]
            runs = [run for run in runs if len(run)]
            for run in runs:
                axes.plot(run[horizontal], run[column], color=color, linewidth=0.8, alpha=0.4)
            if runs:
                pooled = pd.concat([run.set_index("epoch")[[horizontal, column]] for run in runs]).groupby(level=0)
                mean = pooled.mean()[pooled.size() == len(runs)]
                axes.plot(
                    mean[horizontal],
                    mean[column],
                    color=color,
                    linewidth=2,
                    marker="o",
                    markersize=3,
                    label=_label(name, len(runs)),
                )
    panels["seconds_so_far"].set_xlabel("seconds, all included", fontsize=9)
    panels["images"].set_xlabel("images seen", fontsize=9)
    panels["images"].xaxis.set_major_formatter(EngFormatter(sep=""))
    _legend(figure, panels["images"])
    save_figure(figure, path)


def _colors(comparison: Comparison) -> dict[str, ColorType]:
    names = comparison.configurations
    if len(names) <= len(COLORS):
        return dict(zip(names, COLORS, strict=False))
    return {name: colormaps["turbo"]((number + 0.5) / len(names)) for number, name in enumerate(names)}


def _style(axes: Axes, column: str) -> None:
    style_axes(axes)
    axes.set_ylabel(f"{column} (nats)" if column == "loss" else column.replace("val_", "validation "), fontsize=9)
    if column.endswith("accuracy"):
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def _draw_band(axes: Axes, curves: Sequence[pd.Series], color: ColorType, label: str | None, **line: Any) -> None:
    """The mean of curves, where all of them have a value, and the band from the least to the largest."""
    values = pd.concat(curves, axis=1, join="inner")
    axes.plot(values.index, values.mean(axis=1), color=color, linewidth=1.6, label=label, **line)
    if len(curves) > 1:
        low, high = values.min(axis=1), values.max(axis=1)
        axes.fill_between(values.index, low, high, color=color, alpha=0.18, linewidth=0)


def _draw_diverged(axes: Axes, curve: pd.Series, color: ColorType, label: str) -> None:
    finite = curve[np.isfinite(curve)]
    if len(finite):
        axes.plot(finite.index, finite, color=color, linewidth=1, linestyle=":", label=label)
        axes.plot(finite.index[-1:], finite.iloc[-1:], color=color, marker="x", markersize=7)


def _label(configuration: str, count: int) -> str:
    return f"{shorten(configuration, LONGEST_LABEL)} (n = {count})"


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the panels, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        axes.text(0.5, 0.5, "no run is done", transform=axes.transAxes, ha="center", fontsize=11)
        return
    longest = max(map(len, labels))
    columns = max(1, min(len(labels), 4, int(14 * figure.get_figwidth() / (longest + 6))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def _running_mean(run: Run, column: str, smoothing: int) -> pd.Series:
    """The mean of the last `smoothing` steps, by step."""
    table = pd.read_csv(run.path / "steps.csv", usecols=["step", column], index_col="step")
    return table[column].rolling(smoothing, min_periods=1).mean()


def _history(run: Run) -> pd.DataFrame:
    """metrics.csv, with the seconds and the images up to the end of each epoch."""
    history = pd.DataFrame(run.history()).apply(pd.to_numeric)
    history["seconds_so_far"] = history["seconds"].cumsum()
    history["images"] = history["step"] * run.config.trainer.batch_size
    return history
