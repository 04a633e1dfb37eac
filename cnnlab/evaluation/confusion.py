"""The confusion matrix as an annotated heat map."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.ticker import PercentFormatter

from cnnlab.reporting.figure import GRID_COLOR, new_figure, save_figure, shorten

_LARGEST = 26.0  # inches: wider figures are slow to draw and no longer open everywhere
_NAME_LENGTH = 20
_MOST_CELLS = 3900  # on a side, which is a pixel each; of those that share one the largest is seen
_ANNOTATED_CELL = 0.24  # inches a cell needs for a legible number


def draw_confusion(counts: pd.DataFrame, path: Path, title: str) -> None:
    """Draw the matrix: numbers are counts, colours the share of the true class (a row sums to 1).

    The colour scale follows the square root of the share, so that rare confusions stay visible beside the
    diagonal. A hundred classes keep their numbers and names; where a cell gets too small for them the numbers
    go first, then names at regular distances.

    Args:
        counts: (K, K), rows the true and columns the predicted classes, with class names on both.
        path: the PNG to write or replace.
        title: over the matrix.
    """
    classes = len(counts)
    cell = min(max(0.25, 5.5 / classes), 1.5, _LARGEST / classes)
    side = classes * cell
    scale = max(1.0, side / 12)  # of the lettering around a large matrix
    longest = max(len(shorten(name, _NAME_LENGTH)) for name in counts.index)
    margin = 1.0 + 0.07 * longest
    figure = new_figure(side + margin + 0.8, side + margin)
    axes = figure.subplots()
    axes.set_title(title, fontsize=11 * scale, fontweight="bold", pad=10 * scale, parse_math=False)
    mesh = _draw_cells(axes, counts.to_numpy(), annotate=cell >= _ANNOTATED_CELL)
    _label_classes(axes, list(counts.index), cell)
    axes.set_xlabel("predicted", fontsize=10 * scale)
    axes.set_ylabel("true", fontsize=10 * scale)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.9, aspect=5 * side, pad=0.02, format=PercentFormatter(xmax=1))
    bar.set_label("share of the true class", fontsize=9 * scale)
    bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1])
    bar.ax.tick_params(labelsize=8 * scale)
    bar.outline.set_visible(False)
    save_figure(figure, path)


def draw_confusion_difference(counts: pd.DataFrame, path: Path, title: str) -> None:
    """Draw the difference of two confusion matrices: blue where there are more images, red where there are fewer.

    Args:
        counts: (K, K) differences, rows the true and columns the predicted classes, with class names on both.
        path: the PNG to write or replace.
        title: over the matrix.
    """
    classes = len(counts)
    cell = min(max(0.25, 5.5 / classes), 1.5, _LARGEST / classes)
    figure = new_figure(classes * cell + 2.5, classes * cell + 1.8, title)
    axes = figure.subplots()
    largest = max(1, int(np.abs(counts.to_numpy()).max()))
    mesh = axes.pcolormesh(
        counts.to_numpy(), cmap="RdBu", vmin=-largest, vmax=largest, edgecolors=GRID_COLOR, linewidth=0.4
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()
    if cell >= _ANNOTATED_CELL:
        for row, column in np.argwhere(counts.to_numpy()):
            value = counts.to_numpy()[row, column]
            color = "white" if abs(value) > 0.6 * largest else "#1f2937"
            axes.text(column + 0.5, row + 0.5, f"{value:+d}", ha="center", va="center", fontsize=8, color=color)
    _label_classes(axes, [str(name) for name in counts.index], cell)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("true", fontsize=10)
    bar = figure.colorbar(mesh, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("images; on the diagonal more is better", fontsize=9)
    bar.outline.set_visible(False)
    save_figure(figure, path)


def _draw_cells(axes: Axes, counts: np.ndarray, annotate: bool) -> ScalarMappable:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    if not annotate:  # the cells of thousands of classes, each a shape, would take gigabytes
        colors = ScalarMappable(norm, "Blues")
        starts = np.arange(0, len(shares), math.ceil(len(shares) / _MOST_CELLS))
        largest = np.maximum.reduceat(np.maximum.reduceat(shares, starts, axis=0), starts, axis=1)
        extent = (0, len(shares), len(shares), 0)
        axes.imshow(colors.to_rgba(largest, bytes=True), extent=extent, interpolation="nearest")
        return colors
    mesh = axes.pcolormesh(shares, cmap="Blues", norm=norm, edgecolors=GRID_COLOR, linewidth=0.4)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    size = 10 if len(counts) <= 12 else 8 if len(counts) <= 30 else 6
    for row, column in np.argwhere(counts):
        dark = norm(shares[row, column]) > 0.55
        color = "white" if dark else "#1f2937"
        axes.text(column + 0.5, row + 0.5, counts[row, column], ha="center", va="center", fontsize=size, color=color)
    return mesh


def _label_classes(axes: Axes, names: list[str], cell: float) -> None:
    step = int(np.ceil(0.16 / cell))
    positions = np.arange(0, len(names), step)
    labels = [shorten(names[position], _NAME_LENGTH) for position in positions]
    upright = max(map(len, labels)) * 0.075 < cell * step
    size = 9 if cell >= 0.4 else 7
    axes.set_xticks(positions + 0.5, labels, rotation=0 if upright else 90, fontsize=size, parse_math=False)
    axes.set_yticks(positions + 0.5, labels, fontsize=size, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
