"""Images in rows and columns, with a title beside each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from cnnlab.reporting.figure import MUTED_COLOR, new_figure, save_figure, shorten

CELL = 1.15  # inches
TITLE_WIDTH = 1.7  # inches
LABEL_LENGTH = 18


@dataclass(frozen=True)
class Row:
    """A row of a grid.

    Attributes:
        title: on the left; line breaks are kept.
        images: uint8 (n, H, W, C), C being 1 or 3.
        labels: one under each image; empty for none.
    """

    title: str
    images: np.ndarray
    labels: Sequence[str] = ()


def draw_grid(rows: Sequence[Row], path: Path, title: str, metadata: Mapping[str, str]) -> None:
    """Draw the rows under each other; the first has the most images.

    Args:
        path: the PNG to write or replace.
        title: over the grid.
        metadata: text chunks of the PNG, such as the seed.
    """
    columns = len(rows[0].images)
    beside = TITLE_WIDTH if any(row.title for row in rows) else 0.01
    figure = new_figure(beside + CELL * columns, 0.45 + (CELL + 0.2) * len(rows), title)
    axes = figure.subplots(len(rows), columns + 1, squeeze=False, width_ratios=[beside / CELL, *[1] * columns])
    for row, (first, *cells) in zip(rows, axes, strict=True):
        _write_title(first, row.title)
        for number, cell in enumerate(cells):
            if number < len(row.images):
                _draw_image(cell, row.images[number], row.labels[number] if row.labels else "")
            else:
                cell.set_axis_off()
    save_figure(figure, path, metadata)


def _write_title(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(1, 0.5, text, ha="right", va="center", fontsize=9, transform=axes.transAxes, parse_math=False)


def _draw_image(axes: Axes, image: np.ndarray, label: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    else:
        axes.imshow(image, interpolation="nearest")
    if label:
        lines = "\n".join(shorten(line, LABEL_LENGTH) for line in label.split("\n"))
        axes.set_xlabel(lines, fontsize=7, color=MUTED_COLOR, labelpad=2, parse_math=False)
