"""Curves of many runs: a line per arm, a band over its seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.ticker import PercentFormatter

from cnnlab.evaluation.figure import new_figure, save_figure, style_axes
from cnnlab.sweeps.collect import Comparison, Entry

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"]
"""Told apart by the colour-blind (Okabe & Ito 2008); more arms take colours from a map."""


def draw_steps(comparison: Comparison, column: str, path: Path, smoothing: int) -> None:
    """Draw a training figure against the step: per arm the mean over seeds, and a band from the least to the largest.

    Args:
        comparison: whose finished runs are drawn, as far as all seeds of an arm go.
        column: of steps.csv: accuracy or loss.
        path: the PNG to write or replace.
        smoothing: steps of the running mean.
    """
    figure = new_figure(8.5, 5, f"{comparison.name} · training {column}, mean of {smoothing} steps")
    axes = figure.subplots()
    style_axes(axes)
    for number, arm in enumerate(comparison.arms):
        runs = [entry for entry in comparison.entries if entry.arm == arm and entry.status == "done"]
        curves = [_running_mean(entry, column, smoothing) for entry in runs]
        if not curves:
            continue
        length = min(map(len, curves))
        values = np.stack([curve.to_numpy()[:length] for curve in curves])
        steps = curves[0].index[:length]
        color = COLORS[number] if number < len(COLORS) else colormaps["turbo"](number / len(comparison.arms))
        axes.plot(steps, values.mean(axis=0), color=color, linewidth=1.6, label=f"{arm} (n = {len(curves)})")
        if len(curves) > 1:
            axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=color, alpha=0.18, linewidth=0)
    axes.set_xlabel("step; the band spans the seeds", fontsize=9)
    axes.set_ylabel(f"{column} (nats)" if column == "loss" else column, fontsize=9)
    if column == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    save_figure(figure, path)


def _running_mean(entry: Entry, column: str, smoothing: int) -> pd.Series:
    """The mean of the last `smoothing` steps, by step."""
    table = pd.read_csv(entry.path / "steps.csv", usecols=["step", column], index_col="step")
    return table[column].rolling(smoothing, min_periods=1).mean()
