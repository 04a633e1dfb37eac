"""Edges of a photograph: Gaussian, Sobel and Laplacian filters, and Canny's way to thin lines."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy import ndimage

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.pictures import SIGNED, WIDTH, load_photographs, panels, show, show_numbers, to_grey
from cnnlab.reporting.figure import VALIDATION_COLOR, new_figure

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
SOBEL_Y = SOBEL_X.T
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
SIGMAS = (1.0, 2.0, 4.0)
SIGMA, LOW, HIGH = 1.5, 0.12, 0.35
"""Of the Canny-like edges: pixels, and the slopes (of a Sobel filter on brightness from 0 to 1) of its thresholds."""

CROP = np.s_[50:340, 20:400]
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""The pixel next to one in the directions 0°, 45°, 90° and 135°, as (rows down, columns right)."""


@dataclass(frozen=True)
class Edges:
    """The steps of Canny's method, each (H, W).

    Attributes:
        magnitude: of the gradient of the smoothed image.
        thin: the same where it is largest across the edge, 0 elsewhere.
        strong, edges: bool; what is above the high threshold, and all that hangs on to it above the low one.
    """

    magnitude: np.ndarray
    thin: np.ndarray
    strong: np.ndarray
    edges: np.ndarray


def gaussian_kernel(sigma: float) -> np.ndarray:
    """A bell of this standard deviation in pixels, cut off at three of them; float32 (n, n), n odd, with the sum 1."""
    offsets = np.arange(-round(3 * sigma), round(3 * sigma) + 1)
    bell = np.exp(-(offsets**2) / (2 * sigma**2))
    return (np.outer(bell, bell) / bell.sum() ** 2).astype(np.float32)


def correlate(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Lay a kernel (h, w), both odd, on each place of an image (H, W), whose border is repeated beyond it."""
    margins = [(size // 2, size // 2) for size in kernel.shape]
    padded = np.pad(image.astype(np.float32), margins, mode="edge")[np.newaxis, ..., np.newaxis]
    return tf.nn.conv2d(padded, kernel[..., np.newaxis, np.newaxis], 1, "VALID")[0, ..., 0].numpy()


def find_edges(image: np.ndarray, sigma: float, low: float, high: float) -> Edges:
    """Thin, connected edges (after Canny, A Computational Approach to Edge Detection, 1986).

    Args:
        image: brightness (H, W).
        sigma: of the Gaussian that smooths it first, in pixels.
        low, high: thresholds on the magnitude of the Sobel gradient.
    """
    smooth = correlate(image, gaussian_kernel(sigma))
    right, down = correlate(smooth, SOBEL_X), correlate(smooth, SOBEL_Y)
    magnitude = np.hypot(right, down)
    thin = suppress_non_maxima(magnitude, right, down)
    return Edges(magnitude, thin, thin >= high, link(thin, low, high))


def suppress_non_maxima(magnitude: np.ndarray, right: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Keep the magnitude where neither neighbour along the gradient, to the nearest 45°, has more; else 0.

    Of two equal neighbours, one stays.

    Args:
        magnitude: of the gradient, (H, W).
        right, down: the gradient's components.
    """
    sector = np.round(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    padded = np.pad(magnitude, 1)
    height, width = magnitude.shape
    largest = np.zeros(magnitude.shape, bool)
    for number, (rows, columns) in enumerate(NEIGHBOURS):
        after = padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
        before = padded[1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
        largest |= (sector == number) & (magnitude >= after) & (magnitude > before)
    return np.where(largest, magnitude, 0)


def link(strength: np.ndarray, low: float, high: float) -> np.ndarray:
    """Hysteresis: the connected pieces (across corners too) of `strength` >= low that reach `high` somewhere.

    Args:
        strength: (H, W).

    Returns:
        Bool (H, W).
    """
    pieces, _ = ndimage.label(strength >= low, np.ones((3, 3)))
    return (pieces > 0) & np.isin(pieces, np.unique(pieces[strength >= high]))


def edges_chapter() -> Chapter:
    """Show the filters, what they make of a photograph, and the steps to thin edges."""
    grey = to_grey(load_photographs()["china"])[CROP][..., 0]
    smooth = {sigma: correlate(grey, gaussian_kernel(sigma)) for sigma in SIGMAS}
    right, down = correlate(grey, SOBEL_X), correlate(grey, SOBEL_Y)
    curvature = correlate(smooth[1.0], LAPLACIAN)
    found = find_edges(grey, SIGMA, LOW, HIGH)
    figures = {
        "kernels": _draw_kernels(),
        "gaussian": _draw_gaussian(grey, smooth),
        "sobel": _draw_signed({"Sobel, to the right": right, "Sobel, downwards": down}),
        "laplacian": _draw_signed({"Laplacian": correlate(grey, LAPLACIAN), "Gaussian, then Laplacian": curvature}),
        "canny": _draw_canny(found),
    }
    values = {
        "sigma": f"{SIGMA:g}",
        "low": f"{LOW:g}",
        "high": f"{HIGH:g}",
        "thick": f"{(found.magnitude >= LOW).mean():.0%}",
        "thin": f"{(found.thin >= LOW).mean():.0%}",
        "strong": f"{found.strong.mean():.1%}",
        "edges": f"{found.edges.mean():.1%}",
    }
    arrays = {"photograph": grey, "sobel_x": right, "sobel_y": down, "laplacian": curvature}
    arrays |= {f"gaussian_{sigma:g}": image for sigma, image in smooth.items()}
    arrays |= {"magnitude": found.magnitude, "thin": found.thin, "strong": found.strong, "edges": found.edges}
    return Chapter("edges", "Edges", figures, values, arrays)


def _draw_kernels() -> Figure:
    figure = new_figure(WIDTH, 4.2)
    bell, *small = figure.subplot_mosaic([["bell"] * 3, ["x", "y", "l"]], height_ratios=[3, 2]).values()
    hundredths = (100 * gaussian_kernel(1.0)).round(1)
    show_numbers(bell, hundredths, "Gaussian, σ = 1 pixel (hundredths)")
    named = {"Sobel, to the right": SOBEL_X, "Sobel, downwards": SOBEL_Y, "Laplacian": LAPLACIAN}
    for axes, (title, kernel) in zip(small, named.items(), strict=True):
        show_numbers(axes, kernel, title, limit=4)
    return figure


def _draw_gaussian(grey: np.ndarray, smooth: dict[float, np.ndarray]) -> Figure:
    figure, cells = panels(1 + len(smooth), 2, grey.shape[0] / grey.shape[1])
    images = {"photograph": grey} | {f"σ = {sigma:g}": image for sigma, image in smooth.items()}
    for axes, (title, image) in zip(cells, images.items(), strict=True):
        show(axes, image, title, cmap="gray", vmin=0, vmax=1)
    return figure


def _draw_signed(responses: dict[str, np.ndarray]) -> Figure:
    height, width = next(iter(responses.values())).shape
    figure = new_figure(WIDTH, len(responses) * (WIDTH * 0.8 * height / width + 0.3))
    cells = figure.subplots(len(responses), 1)
    for axes, (title, response) in zip(cells, responses.items(), strict=True):
        limit = float(np.quantile(np.abs(response), 0.97))
        image = show(axes, response, title, cmap=SIGNED, vmin=-limit, vmax=limit)
        bar = figure.colorbar(image, ax=axes, shrink=0.7, extend="both")
        bar.ax.tick_params(labelsize=8)
    return figure


def _draw_canny(found: Edges) -> Figure:
    height, width = found.magnitude.shape
    figure = new_figure(WIDTH, 3 * (WIDTH * height / width * 0.8 + 0.3))
    cells = figure.subplots(3, 1)
    limit = float(np.quantile(found.magnitude, 0.995))
    image = show(cells[0], found.magnitude, "magnitude of the gradient", cmap="magma", vmin=0, vmax=limit)
    bar = figure.colorbar(image, ax=cells[:2], shrink=0.4, extend="max")
    bar.ax.tick_params(labelsize=8)
    show(cells[1], found.thin, "thinned", cmap="magma", vmin=0, vmax=limit, interpolation="nearest")
    drawing = np.ones((height, width, 3))
    drawing[found.edges], drawing[found.strong] = to_rgb(VALIDATION_COLOR), to_rgb("black")
    show(cells[2], drawing, "edges: strong (black) and linked (orange)", interpolation="nearest")
    return figure
