"""Images with a map of numbers beside them and laid over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from cnnlab.reporting.figure import MUTED_COLOR, new_figure, save_figure, shorten

CELL = 1.9  # inches
LEGIBLE = 26
"""Characters of a title of 9 points that fit into a cell."""

SEQUENTIAL = "inferno"
DIVERGING = "RdBu_r"
PERCENTILE = 99.5
"""Of the absolute values, at which the colours end; a single bright pixel would leave the rest dark."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""


@dataclass(frozen=True)
class Overlay:
    """A row of the figure.

    Attributes:
        image: uint8 (H, W, C), C being 1 or 3.
        map: float (h, w), spread over the image.
        title: over the image.
        note: under the map; may be empty.
    """

    image: np.ndarray
    map: np.ndarray
    title: str
    note: str = ""


def draw_overlays(
    rows: Sequence[Overlay], path: Path, title: str, metadata: Mapping[str, str], unit: str, *, signed: bool
) -> None:
    """Draw a row per image: the image, the map, the map over the image, and a colour bar.

    Args:
        rows: at least one.
        path: the PNG to write or replace.
        title: over the figure.
        metadata: text chunks of the PNG.
        unit: of the numbers, beside the colour bar.
        signed: whether zero is the middle of the colours (blue below, red above) or their dark end.
    """
    figure = new_figure(3 * CELL + 1.0, 0.5 + (CELL + 0.35) * len(rows), title)
    for row, axes in zip(rows, figure.subplots(len(rows), 3, squeeze=False), strict=True):
        show_image(axes[0], row.image, row.title)
        drawn = show_map(axes[1], row.map, row.image.shape, signed=signed)
        axes[1].set_xlabel(row.note, fontsize=7, color=MUTED_COLOR, parse_math=False)
        _show_over(axes[2], row.image, row.map, drawn)
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85, aspect=14, pad=0.02, extend="both" if signed else "max")
        bar.ax.tick_params(labelsize=7)
        bar.locator = MaxNLocator(5)
        bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))
        bar.ax.yaxis.offsetText.set_fontsize(7)
        bar.set_label(unit, fontsize=7, color=MUTED_COLOR)
        bar.outline.set_visible(False)
    save_figure(figure, path, metadata)


def show_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Show an image, uint8 (H, W, C), without ticks."""
    _bare(axes)
    lines = "\n".join(shorten(line, LEGIBLE) for line in title.split("\n"))
    axes.set_title(lines, fontsize=9, parse_math=False)
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    else:
        axes.imshow(image, interpolation="nearest")


def show_map(axes: Axes, values: np.ndarray, image_shape: Sequence[int], *, signed: bool) -> ScalarMappable:
    """Show a map (h, w) spread over the area of an image (H, W, C), its colours symmetric about 0 or from 0 on."""
    _bare(axes)
    limit = np.percentile(np.abs(values), PERCENTILE) or np.abs(values).max() or 1.0
    norm = Normalize(-limit if signed else 0, limit)
    cmap = DIVERGING if signed else SEQUENTIAL
    return axes.imshow(values, cmap=cmap, norm=norm, interpolation="nearest", extent=_extent(image_shape))


def _show_over(axes: Axes, image: np.ndarray, values: np.ndarray, drawn: ScalarMappable) -> None:
    """The map in its colours over a pale grey image, the more opaque the larger it is."""
    _bare(axes)
    grey = image[..., 0] if image.shape[-1] == 1 else image @ np.array(LUMA)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    opacity = np.clip(np.abs(values) / drawn.norm.vmax, 0, 1) ** 0.5
    colours = np.asarray(colormaps[drawn.get_cmap().name](drawn.norm(values)))
    colours[..., 3] = 0.9 * opacity
    axes.imshow(np.clip(colours, 0, 1), interpolation="nearest", extent=_extent(image.shape))


def _extent(image_shape: Sequence[int]) -> tuple[float, float, float, float]:
    height, width = image_shape[:2]
    return -0.5, width - 0.5, height - 0.5, -0.5


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
