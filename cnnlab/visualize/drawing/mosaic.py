"""Many small pictures as one image, in rows and columns with a gap between them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage


def mosaic(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Lay tiles out row by row.

    Args:
        tiles: (n, h, w), or (n, h, w, C) in colour.
        columns: tiles in a row; the last row is filled up.
        gap: pixels between tiles.

    Returns:
        Float (rows · (h + gap) - gap, columns · (w + gap) - gap[, C]); gaps and missing tiles are NaN, which
        Matplotlib leaves transparent.
    """
    count, height, width, *colours = tiles.shape
    rows = math.ceil(count / columns)
    padded = np.full((rows * columns, height + gap, width + gap, *colours), np.nan, np.float32)
    padded[:count, :height, :width] = tiles
    grid = padded.reshape(rows, columns, height + gap, width + gap, *colours).swapaxes(1, 2)
    whole = grid.reshape(rows * (height + gap), columns * (width + gap), *colours)
    return whole[: whole.shape[0] - gap, : whole.shape[1] - gap]


def draw_mosaic(
    axes: Axes, tiles: np.ndarray, columns: int, *, labels: Sequence[object] = (), gap: int = 1, **how: Any
) -> AxesImage:
    """Draw tiles as one image, each pixel as it is.

    Args:
        tiles: (n, h, w), or (n, h, w, C) in colour.
        columns: tiles in a row.
        labels: one above each tile; needs a gap that leaves room for them.
        gap: pixels of a tile between tiles.
        **how: for `Axes.imshow`, such as cmap, vmin and vmax.
    """
    height, width = tiles.shape[1:3]
    image = axes.imshow(mosaic(tiles, columns, gap), interpolation="nearest", **how)
    axes.set_axis_off()
    for number, label in enumerate(labels):
        row, column = divmod(number, columns)
        x, y = column * (width + gap) + (width - 1) / 2, row * (height + gap) - 0.6
        axes.text(x, y, str(label), ha="center", va="bottom", fontsize=6, parse_math=False)
    return image
