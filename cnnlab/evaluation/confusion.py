"""The confusion matrix as an annotated heat map."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.ticker import PercentFormatter

from cnnlab.reporting.figure import GRID_COLOR, new_figure, save_figure, shorten

_LARGEST = 26.0  # inches: wider figures are slow to draw and no longer open everywhere
_NAME_LENGTH = 20
_MOST_CELLS = 3900  # on a side, which is a pixel each; of those that share one the farthest from 0 is seen
_MOST_SHAPES = 150  # on a side: the cells of thousands of classes, each a shape, would take gigabytes
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
    totals = counts.to_numpy().sum(axis=1, keepdims=True)
    shares = np.divide(counts.to_numpy(), totals, out=np.zeros(counts.shape), where=totals > 0)
    colors = ScalarMappable(PowerNorm(0.5, vmin=0, vmax=1), "Blues")
    _draw_cells(axes, shares, colors)
    if cell >= _ANNOTATED_CELL:
        _write_numbers(axes, counts.to_numpy(), "{:d}", colors.to_rgba(shares))
    _label_classes(axes, list(counts.index), cell)
    axes.set_xlabel("predicted", fontsize=10 * scale)
    axes.set_ylabel("true", fontsize=10 * scale)
    bar = figure.colorbar(colors, ax=axes, shrink=0.9, aspect=5 * side, pad=0.02, format=PercentFormatter(xmax=1))
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
    colors = ScalarMappable(Normalize(-largest, largest), "RdBu")
    _draw_cells(axes, counts.to_numpy(), colors)
    if cell >= _ANNOTATED_CELL:
        _write_numbers(axes, counts.to_numpy(), "{:+d}", colors.to_rgba(counts.to_numpy()))
    _label_classes(axes, [str(name) for name in counts.index], cell)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("true", fontsize=10)
    bar = figure.colorbar(colors, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label("images; on the diagonal more is better", fontsize=9)
    bar.outline.set_visible(False)
    save_figure(figure, path)


def _draw_cells(axes: Axes, values: np.ndarray, colors: ScalarMappable) -> None:
    if len(values) <= _MOST_SHAPES:
        mesh = axes.pcolormesh(values, cmap=colors.cmap, edgecolors=GRID_COLOR, linewidth=0.4)
        mesh.set_norm(colors.norm)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        return
    starts = np.arange(0, len(values), math.ceil(len(values) / _MOST_CELLS))
    most, least = (
        extreme.reduceat(extreme.reduceat(values, starts, axis=0), starts, axis=1)
        for extreme in (np.maximum, np.minimum)
    )
    farthest = np.where(most >= -least, most, least)
    extent = (0, len(values), len(values), 0)
    axes.imshow(colors.to_rgba(farthest, bytes=True), extent=extent, interpolation="nearest")


def _write_numbers(axes: Axes, counts: np.ndarray, form: str, colors: np.ndarray) -> None:
    """Write those that are not 0 on their cells, whose colours (K, K, 4) are from 0 to 1."""
    size = 10 if len(counts) <= 12 else 8 if len(counts) <= 30 else 6
    brightness = colors[..., :3].mean(axis=-1)
    for row, column in np.argwhere(counts):
        color = "white" if brightness[row, column] < 0.5 else "#1f2937"
        text = form.format(counts[row, column])
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color=color)


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
