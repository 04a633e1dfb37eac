"""The photographs of the course, and how its figures show images and numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from sklearn.datasets import load_sample_images

from cnnlab.reporting.figure import new_figure

WIDTH = 5.0
"""Inches of every figure: its letters stay legible across a phone."""

SIGNED = "RdBu_r"
LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness (ITU-R BT.601)."""


def load_photographs() -> dict[str, np.ndarray]:
    """scikit-learn's two photographs, china and flower: float32 (427, 640, 3) from 0 to 1."""
    china, flower = load_sample_images().images
    return {name: image.astype(np.float32) / 255 for name, image in (("china", china), ("flower", flower))}


def to_grey(image: np.ndarray) -> np.ndarray:
    """The brightness (H, W, 1) of an image (H, W, 3)."""
    return (image @ np.array(LUMINANCE, np.float32))[..., np.newaxis]


def draw_photographs(images: Sequence[np.ndarray], titles: Sequence[str], columns: int = 2) -> Figure:
    """A figure of images (H, W, 1 or 3) from 0 to 1 in rows; values beyond are cut off."""
    figure, cells = panels(len(images), columns, images[0].shape[0] / images[0].shape[1])
    for axes, image, title in zip(cells, images, titles, strict=True):
        show(axes, np.clip(image, 0, 1), title, cmap="gray", vmin=0, vmax=1)
    return figure


def panels(count: int, columns: int, aspect: float, spare: float = 0.3) -> tuple[Figure, list[Axes]]:
    """An empty figure for images in rows.

    Args:
        count: of images.
        columns: in a row.
        aspect: height of an image by its width.
        spare: inches for the titles of a row.
    """
    rows = -(-count // columns)
    figure = new_figure(WIDTH, rows * (WIDTH / columns * aspect + spare))
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells[count:]:
        axes.set_axis_off()
    return figure, list(cells[:count])


def show(axes: Axes, image: np.ndarray, title: str = "", **how: Any) -> AxesImage:
    """Show an image (H, W), (H, W, 1) or (H, W, 3) without ticks.

    Args:
        **how: for `Axes.imshow`.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=9, parse_math=False)
    return axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, **how)


def show_numbers(axes: Axes, values: np.ndarray, title: str = "", *, limit: float | None = None) -> AxesImage:
    """Show a small array (h, w) as coloured cells with their numbers.

    Args:
        limit: the strongest colours are those of -limit and +limit; None for the largest absolute value.
    """
    limit = limit or float(np.abs(values).max()) or 1.0
    image = show(axes, values, title, cmap=SIGNED, vmin=-limit, vmax=limit)
    for (row, column), value in np.ndenumerate(values):
        color = "white" if abs(value) > 0.65 * limit else "black"
        axes.text(column, row, f"{value:.3g}".replace("-", "−"), ha="center", va="center", fontsize=8, color=color)
    draw_cell_borders(axes, values.shape, "white")
    return image


def draw_cell_borders(axes: Axes, shape: tuple[int, int], color: str) -> None:
    """Draw lines between the pixels of an image of this height and width."""
    height, width = shape
    axes.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(height + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=color, linewidth=1)
    axes.tick_params(which="minor", length=0)
