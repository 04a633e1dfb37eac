"""A gallery of the images a model got wrong while most sure of itself."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.data.decode import load_images
from cnnlab.evaluation.figure import MUTED_COLOR, WRONG_COLOR, new_figure, save_figure, shorten

_COLUMNS = 6
_NAME_LENGTH = 14  # characters that fit over an image


def draw_mistakes(
    split: Split,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    path: Path,
    title: str,
    limit: int = 24,
) -> None:
    """Draw the most confident mistakes, the worst first, with what was predicted and what is true.

    Args:
        split: the N judged images; of files only those that are shown are decoded.
        probabilities: (N, K).
        class_names: one name per class.
        path: the PNG to write or replace.
        title: over the gallery.
        limit: how many images to show at most.
    """
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != split.labels)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:limit]
    if not len(worst):
        figure = new_figure(6, 1.6, title)
        figure.text(0.5, 0.4, f"No mistakes among {len(split)} images", ha="center", fontsize=11, color=MUTED_COLOR)
        save_figure(figure, path)
        return
    columns = min(_COLUMNS, max(3, len(worst)))
    rows = -(-len(worst) // columns)
    images = _pick(split.images, worst)
    panel = 1.6 * np.clip(images.shape[1] / images.shape[2], 0.4, 2)  # inches high
    figure = new_figure(1.7 * columns, (panel + 0.5) * rows + 0.6, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, image, index in zip(panels, images, worst, strict=False):
        guess, truth = predicted[index], split.labels[index]
        _show(axes, image)
        _caption(
            axes, f"{shorten(class_names[guess], _NAME_LENGTH)} · {probabilities[index, guess]:.0%}", 14, WRONG_COLOR
        )
        _caption(axes, f"true: {shorten(class_names[truth], _NAME_LENGTH)}", 3, "black")
    save_figure(figure, path)


def _pick(images: np.ndarray | ImageFiles, indices: np.ndarray) -> np.ndarray:
    if isinstance(images, ImageFiles):
        return load_images(ImageFiles(images.paths[indices], images.image_shape))
    return images[indices]


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
