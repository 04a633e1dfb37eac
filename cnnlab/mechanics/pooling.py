"""Max and mean pooling, on sixteen numbers and on a photograph."""

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import dimensions
from cnnlab.mechanics.pictures import load_photographs, panels, show, show_numbers

NUMBERS = np.array([[1, 3, 2, 0], [5, 7, 1, 1], [0, 2, 9, 4], [2, 0, 3, 4]], np.float32)
SIZE = 2
CROP = np.s_[100:420, 200:520]
COARSE = 8


def pooling_chapter() -> Chapter:
    """Show what both kinds keep, and where their gradients go."""
    pooled = {kind: pool(NUMBERS[..., np.newaxis], kind, SIZE)[..., 0] for kind in ("max", "mean")}
    gradients = {kind: pooling_gradient(NUMBERS, kind, SIZE) for kind in pooled}
    flower = load_photographs()["flower"]
    crop = flower[CROP]
    coarse = {kind: pool(crop, kind, COARSE) for kind in pooled}
    values = {
        "size": str(SIZE),
        "coarse": str(COARSE),
        "input_shape": dimensions(crop.shape),
        "output_shape": dimensions(coarse["max"].shape),
        "kept": f"1 in {COARSE**2}",
        "height": str(flower.shape[0]),
        "pooled_height": str(pool(flower, "max", COARSE).shape[0]),
        "lost": str(flower.shape[0] % COARSE),
    }
    figures = {"numbers": _draw_numbers(pooled, gradients), "photograph": _draw_photograph(crop, coarse)}
    arrays = {"numbers": NUMBERS, "crop": crop}
    arrays |= {f"{kind}_numbers": found for kind, found in pooled.items()}
    arrays |= {f"{kind}_gradient": found for kind, found in gradients.items()}
    arrays |= {f"{kind}_crop": found for kind, found in coarse.items()}
    return Chapter("pooling", "Pooling: keep the gist", figures, values, arrays)


def pool(image: np.ndarray, kind: str, size: int) -> np.ndarray:
    """Summarise blocks of `size` × `size` pixels by their largest value ("max") or their mean ("mean").

    Args:
        image: float32 (H, W, C).

    Returns:
        Float32 (H // size, W // size, C); what is left over at the right and bottom is dropped.
    """
    return _layer(kind, size)(image[np.newaxis])[0].numpy()


def pooling_gradient(values: np.ndarray, kind: str, size: int) -> np.ndarray:
    """How much the sum of what pooling keeps of `values` (h, w) rises with each of them, float32 (h, w)."""
    inputs = tf.constant(values[np.newaxis, ..., np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(_layer(kind, size)(inputs))
    return tape.gradient(total, inputs)[0, ..., 0].numpy()


def _layer(kind: str, size: int) -> keras.Layer:
    return {"max": keras.layers.MaxPooling2D, "mean": keras.layers.AveragePooling2D}[kind](size)


def _draw_numbers(pooled: dict[str, np.ndarray], gradients: dict[str, np.ndarray]) -> Figure:
    figure, cells = panels(6, 3, 1.0)
    for row, kind in enumerate(pooled):
        before, after, gradient = cells[3 * row : 3 * row + 3]
        show_numbers(before, NUMBERS, "before", limit=10)
        show_numbers(after, pooled[kind], f"{kind} of {SIZE} × {SIZE}", limit=10)
        show_numbers(gradient, gradients[kind], "gradient", limit=1)
        for axes in (before, gradient):
            axes.axvline(SIZE - 0.5, color="black", linewidth=1.2)
            axes.axhline(SIZE - 0.5, color="black", linewidth=1.2)
    return figure


def _draw_photograph(crop: np.ndarray, coarse: dict[str, np.ndarray]) -> Figure:
    figure, cells = panels(4, 2, 1.0)
    height, width = crop.shape[:2]
    show(cells[0], crop, f"photograph, {height} × {width}")
    for axes, (kind, found) in zip(cells[1:3], coarse.items(), strict=True):
        show(axes, found, f"{kind} of {COARSE} × {COARSE}", interpolation="nearest")
    image = show(
        cells[3],
        (coarse["max"] - coarse["mean"]).mean(axis=-1),
        "max − mean",
        cmap="magma",
        vmin=0,
        interpolation="nearest",
    )
    cells[3].figure.colorbar(image, ax=cells[3], location="bottom", shrink=0.8, pad=0.02)
    return figure
