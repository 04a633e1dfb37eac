"""VALID and SAME padding on a row of thirteen numbers, computed by hand and by TensorFlow."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import table
from cnnlab.mechanics.pictures import WIDTH
from cnnlab.reporting.figure import MUTED_COLOR, TRAIN_COLOR, VALIDATION_COLOR, WRONG_COLOR, new_figure

Padding = Literal["VALID", "SAME"]

ROW = np.arange(1, 14)
FILTER = np.array([2, 3, 5, 7, 11, 13])
STRIDE = 5
PADDINGS: tuple[Padding, ...] = ("VALID", "SAME")


@dataclass(frozen=True)
class Extent:
    """Where a filter goes along one axis.

    Attributes:
        outputs: how many places there are.
        before, after: zeros added at either end.
        ignored: values at the end that no place reaches.
    """

    outputs: int
    before: int
    after: int
    ignored: int


def extent(length: int, size: int, stride: int, padding: Padding) -> Extent:
    """Work out the places of a filter of `size` values along an axis of `length`, as TensorFlow defines them."""
    if padding == "VALID":
        outputs = max(0, (length - size) // stride + 1)
        reached = (outputs - 1) * stride + size if outputs else 0
        return Extent(outputs, 0, 0, length - reached)
    outputs = -(-length // stride)
    zeros = max(0, (outputs - 1) * stride + size - length)
    reached = (outputs - 1) * stride + size - zeros // 2
    return Extent(outputs, zeros // 2, zeros - zeros // 2, max(0, length - reached))


def slide(row: np.ndarray, weights: np.ndarray, stride: int, padding: Padding) -> np.ndarray:
    """The sums (outputs,) of a filter (size,) on a row (length,), one place after the other."""
    found = extent(len(row), len(weights), stride, padding)
    padded = np.pad(row, (found.before, found.after))
    starts = range(0, found.outputs * stride, stride)
    return np.array([padded[start : start + len(weights)] @ weights for start in starts])


def padding_chapter() -> Chapter:
    """Show the places of the filter on the row, and the sums there."""
    sums = {padding: slide(ROW, FILTER, STRIDE, padding) for padding in PADDINGS}
    layers = {padding: _by_tensorflow(padding) for padding in PADDINGS}
    valid, same = (extent(len(ROW), len(FILTER), STRIDE, padding) for padding in PADDINGS)
    values = {
        "row": f"{ROW[0]} … {ROW[-1]}",
        "weights": "\u00a0".join(map(str, FILTER)),
        "length": str(len(ROW)),
        "size": str(len(FILTER)),
        "stride": str(STRIDE),
        "valid_outputs": str(valid.outputs),
        "valid_ignored": " and ".join(map(str, ROW[-valid.ignored :])),
        "valid_sums": " and ".join(map(str, sums["VALID"])),
        "first_sum": _written_out(ROW[: len(FILTER)]),
        "same_outputs": str(same.outputs),
        "same_zeros": str(same.before + same.after),
        "same_before": str(same.before),
        "same_after": str(same.after),
        "same_sums": ", ".join(map(str, sums["SAME"])),
        "step": str(STRIDE * FILTER.sum()),
        "weight_sum": str(FILTER.sum()),
        "difference": f"{max(np.abs(sums[padding] - layers[padding]).max() for padding in PADDINGS):g}",
        "table": _other_sizes(),
    }
    figures = {padding.lower(): _draw(padding, sums[padding]) for padding in PADDINGS}
    arrays = {"row": ROW, "filter": FILTER, "valid": sums["VALID"], "same": sums["SAME"]}
    return Chapter("padding", "Padding: where the filter may stand", figures, values, arrays)


def _by_tensorflow(padding: Padding) -> np.ndarray:
    row, weights = (array.astype(np.float32) for array in (ROW, FILTER))
    return tf.nn.conv1d(row[np.newaxis, :, np.newaxis], weights[:, np.newaxis, np.newaxis], STRIDE, padding)[0, :, 0]


def _written_out(window: np.ndarray) -> str:
    products = " + ".join(f"{value}·{weight}" for value, weight in zip(window, FILTER, strict=True))
    return f"{products} = {window @ FILTER}"


def _other_sizes() -> str:
    rows = []
    for length, size, stride in ((13, 6, 5), (28, 3, 1), (28, 3, 2), (28, 5, 2), (224, 7, 2), (427, 7, 2), (640, 7, 2)):
        valid, same = (extent(length, size, stride, padding) for padding in PADDINGS)
        sizes = [str(length), str(size), str(stride), str(valid.outputs), str(valid.ignored)]
        rows.append([*sizes, str(same.outputs), f"{same.before} + {same.after}"])
    header = ["input", "filter", "stride", "VALID", "unseen", "SAME", "zeros"]
    return table(header, rows)


def _draw(padding: Padding, sums: np.ndarray) -> Figure:
    """The row with its zeros, below it the filter at each of its places and the sum there."""
    found = extent(len(ROW), len(FILTER), STRIDE, padding)
    figure = new_figure(WIDTH, 0.9 + 0.5 * found.outputs)
    axes = figure.subplots()
    axes.set_axis_off()
    last = len(ROW) + found.after
    axes.set(xlim=(-2.1, 17.6), ylim=(-1.15 - 1.35 * found.outputs, 1.5))
    axes.text(-2.0, 1.1, f"{padding} padding, stride {STRIDE}", fontsize=10, fontweight="bold", va="center")
    padded = [0] * found.before + list(ROW) + [0] * found.after
    for place, value in enumerate(padded, -found.before):
        inside = 0 <= place < len(ROW)
        seen = place < last - found.ignored
        color = VALIDATION_COLOR if not inside else TRAIN_COLOR if seen else WRONG_COLOR
        _draw_cell(axes, place, -0.5, str(value), color, dashed=not inside or not seen)
    for number, total in enumerate(sums):
        start, y = number * STRIDE - found.before, -2.0 - 1.35 * number
        for offset, weight in enumerate(FILTER):
            _draw_cell(axes, start + offset, y, str(weight), MUTED_COLOR)
        axes.text(17.5, y + 0.5, f"= {total}", fontsize=10, fontweight="bold", ha="right", va="center")
    return figure


def _draw_cell(axes: Axes, x: float, y: float, text: str, color: str, *, dashed: bool = False) -> None:
    style = "dashed" if dashed else "solid"
    axes.add_patch(Rectangle((x + 0.05, y), 0.9, 1, facecolor=f"{color}22", edgecolor=color, linestyle=style))
    axes.text(x + 0.5, y + 0.5, text, fontsize=8.5, ha="center", va="center")
