"""Two filters made by hand, on photographs in grey and in colour, with stride 1 and 2."""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import dimensions, scientific
from cnnlab.mechanics.pictures import (
    WIDTH,
    draw_cell_borders,
    draw_photographs,
    load_photographs,
    show,
    to_grey,
)
from cnnlab.reporting.figure import new_figure

SIZE = 7
STRIDES = (1, 2)
NAMES = ("vertical", "horizontal")

DETAIL = (120, 180)
CORNERS = {"china": (190, 130), "flower": (110, 190)}
"""Rows and columns of the part of each photograph whose feature maps are drawn, and where it begins; both even."""


def filters_chapter() -> Chapter:
    """Show what the vertical and the horizontal line filter make of the photographs."""
    lines = line_filters()
    figures, arrays = {"filters": _draw_filters(lines)}, {"filters": lines}
    for name, image in load_photographs().items():
        grey = to_grey(image)
        maps = {stride: convolve(grey, lines[:, :, np.newaxis], stride)[:, :, np.newaxis] for stride in STRIDES}
        colour = {stride: convolve_colours(image, lines, stride) for stride in STRIDES}
        figures |= {
            f"{name}_grey": _draw(grey, maps, CORNERS[name]),
            f"{name}_colour": _draw(image, colour, CORNERS[name]),
        }
        arrays |= {f"{name}/grey_stride_{stride}": found for stride, found in maps.items()}
        arrays |= {f"{name}/colour_stride_{stride}": found for stride, found in colour.items()}
        arrays[f"{name}/sum"] = convolve(image, over_colours(lines))
    added = arrays["china/sum"]
    added_apart = arrays["china/colour_stride_1"].mean(axis=2)
    figures["china_colours_added"] = draw_photographs(list(np.moveaxis(added, -1, 0)[..., np.newaxis]), NAMES)
    values = {
        "size": str(SIZE),
        "input_shape": dimensions(image.shape),
        "stride_1_shape": dimensions(maps[1][..., 0, :].shape),
        "stride_2_shape": dimensions(maps[2][..., 0, :].shape),
        "stride_2_share": f"{maps[2].size / maps[1].size:.0%}",
        "strided_difference": scientific(np.abs(maps[2] - maps[1][::2, 1::2]).max()),
        "added_difference": scientific(np.abs(added - added_apart).max()),
        "grey_parameters": str(lines.size),
        "colour_parameters": str(over_colours(lines).size),
    }
    return Chapter("filters", "A filter looks for its own likeness", figures, values, arrays)


def line_filters() -> np.ndarray:
    """A vertical and a horizontal line through the middle: float32 (7, 7, 2), each with the sum 1."""
    lines = np.zeros((SIZE, SIZE, 2), np.float32)
    lines[:, SIZE // 2, 0] = lines[SIZE // 2, :, 1] = 1 / SIZE
    return lines


def over_colours(filters: np.ndarray) -> np.ndarray:
    """The kernel (h, w, 3, n) that applies each filter (h, w, n) to the mean of three colours."""
    return np.repeat(filters[:, :, np.newaxis], 3, axis=2) / 3


def convolve(image: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """The feature maps (H', W', n) of an image (H, W, C) under a kernel (h, w, C, n), with SAME padding."""
    return tf.nn.conv2d(image[np.newaxis], kernel, stride, "SAME")[0].numpy()


def convolve_colours(image: np.ndarray, filters: np.ndarray, stride: int = 1) -> np.ndarray:
    """Filter each colour by itself.

    Args:
        image: (H, W, 3).
        filters: (h, w, n).

    Returns:
        (H', W', 3, n), with SAME padding: a colour image for each filter.
    """
    kernel = np.repeat(filters[:, :, np.newaxis], image.shape[-1], axis=2)
    maps = tf.nn.depthwise_conv2d(image[np.newaxis], kernel, (1, stride, stride, 1), "SAME")[0].numpy()
    return maps.reshape(*maps.shape[:2], image.shape[-1], -1)


def _draw_filters(lines: np.ndarray) -> Figure:
    figure = new_figure(WIDTH, 2.2)
    cells = figure.subplots(1, 2)
    for axes, line, name in zip(cells, np.moveaxis(lines, -1, 0), NAMES, strict=True):
        image = show(axes, line, name, cmap="gray", vmin=0, vmax=1 / SIZE)
        draw_cell_borders(axes, line.shape, "#6b7280")
    bar = figure.colorbar(image, ax=cells, shrink=0.8)
    bar.set_ticks([0, 1 / SIZE], labels=["0", f"1/{SIZE}"], fontsize=9)
    return figure


def _draw(image: np.ndarray, maps: dict[int, np.ndarray], corner: tuple[int, int]) -> Figure:
    """The photograph, and of the part framed in it the maps (H, W, C, 2) by stride, all to the same scale."""
    (top, left), (height, width) = corner, DETAIL
    figure = new_figure(WIDTH, 6.3)
    cells = figure.subplot_mosaic("AA;BC;DE", height_ratios=[2, 1, 0.5])
    how = {"cmap": "gray", "vmin": 0, "vmax": 1}
    show(cells["A"], image, "photograph", **how)
    cells["A"].add_patch(Rectangle((left, top), width, height, fill=False, edgecolor="red", linewidth=1.5))
    below = iter([cells[key] for key in "BCDE"])
    for stride, both in maps.items():
        rows, columns = slice(top // stride, (top + height) // stride), slice(left // stride, (left + width) // stride)
        for name, found in zip(NAMES, np.moveaxis(both[rows, columns], -1, 0), strict=True):
            axes = next(below)
            show(axes, found.clip(0, 1), f"{name}, stride {stride}", interpolation="nearest", **how)
            margin = (width - found.shape[1]) / 2
            axes.set_xlim(-0.5 - margin, found.shape[1] - 0.5 + margin)
    return figure
