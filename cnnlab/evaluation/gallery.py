"""A gallery of images, with what was predicted over each."""

from collections.abc import Sequence
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from cnnlab.data.dataset import ImageFiles
from cnnlab.data.decode import load_images
from cnnlab.reporting.figure import MUTED_COLOR, WRONG_COLOR, new_figure, save_figure, shorten, shorten_middle

COLUMNS = 6
_NAME_LENGTH = 14  # characters of a class that fit over an image
_FILE_LENGTH = 22  # characters of a file name that fit below one


class Caption(NamedTuple):
    """What is said of an image.

    Attributes:
        wrong: what was predicted, in red.
        more: what follows it there, such as "93 %".
        truth: the true class.
        whereabouts: which image it is, below it; empty for nothing.
    """

    wrong: str
    more: str
    truth: str
    whereabouts: str = ""


def draw_gallery(images: np.ndarray, captions: Sequence[tuple[str, ...]], path: Path, title: str, nothing: str) -> None:
    """Draw images in rows of `COLUMNS`, two lines over each and one below.

    Args:
        images: uint8 (N, H, W, C); N may be 0.
        captions: one per image, each with the fields of a `Caption`.
        path: the PNG to write or replace.
        title: over the gallery.
        nothing: what is said where there is no image.
    """
    if not len(images):
        figure = new_figure(6, 1.6, title)
        figure.text(0.5, 0.4, nothing, ha="center", fontsize=11, color=MUTED_COLOR)
        save_figure(figure, path)
        return
    columns = min(COLUMNS, max(3, len(images)))
    rows = -(-len(images) // columns)
    panel = 1.6 * np.clip(images.shape[1] / images.shape[2], 0.4, 2)  # inches high
    figure = new_figure(1.7 * columns, (panel + 0.65) * rows + 0.6, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, image, caption in zip(panels, images, starmap(Caption, captions), strict=False):
        _show(axes, image)
        _caption(axes, f"{shorten(caption.wrong, _NAME_LENGTH)}{caption.more}", 14, WRONG_COLOR)
        _caption(axes, f"true: {shorten(caption.truth, _NAME_LENGTH)}", 3, "black")
        below = {"va": "top", "fontsize": 7, "color": MUTED_COLOR, "parse_math": False}
        axes.text(0, -0.03, shorten_middle(caption.whereabouts, _FILE_LENGTH), transform=axes.transAxes, **below)
    save_figure(figure, path)


def pick(images: np.ndarray | ImageFiles, indices: np.ndarray) -> np.ndarray:
    """Some images of a split as uint8 (n, H, W, C); of files only those are decoded."""
    if isinstance(images, ImageFiles):
        return load_images(images.take(indices))
    return images[indices]


def whereabouts(images: np.ndarray | ImageFiles, indices: np.ndarray, positions: np.ndarray) -> list[str]:
    """How to find some images of a split again: the names of files, of arrays the positions, as predictions.csv has."""
    if isinstance(images, ImageFiles):
        return [Path(path).name for path in images.paths[indices]]
    return [f"index {position}" for position in positions]


def _show(axes: Axes, image: np.ndarray) -> None:
    """Pixels stay sharp squares where an image is small; grey images stay grey."""
    interpolation = "nearest" if max(image.shape[:2]) < 128 else "antialiased"
    axes.imshow(
        image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255, interpolation=interpolation
    )


def _caption(axes: Axes, text: str, height: float, color: str) -> None:
    """Write a line `height` points above the image, left-aligned with it."""
    axes.annotate(
        text,
        (0, 1),
        (0, height),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=color,
        parse_math=False,
    )
