"""The two gradients of a convolution, derived by hand, in NumPy, and checked against TensorFlow's tape."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.padding import Padding, extent
from cnnlab.mechanics.page import dimensions, scientific, table
from cnnlab.mechanics.pictures import WIDTH, panels, show_numbers
from cnnlab.reporting.figure import TRAIN_COLOR, VALIDATION_COLOR, new_figure

WEIGHT_COLORS = (TRAIN_COLOR, VALIDATION_COLOR, "#009e73")


@dataclass(frozen=True)
class Case:
    """A convolution to check: shapes of its input (n, H, W, C) and its kernel (h, w, C, K)."""

    inputs: tuple[int, int, int, int]
    kernel: tuple[int, int, int, int]
    stride: int
    padding: Padding


class Differences(NamedTuple):
    """The largest differences between the derived gradients and TensorFlow's.

    Attributes:
        inputs, kernel: of the two gradients from those of the tape.
        transposed: of the gradient towards the input from a transposed convolution.
    """

    inputs: float
    kernel: float
    transposed: float


CASES = (
    Case((2, 8, 9, 3), (3, 3, 3, 4), 1, "VALID"),
    Case((2, 8, 9, 3), (3, 3, 3, 4), 1, "SAME"),
    Case((2, 8, 9, 3), (3, 3, 3, 4), 2, "VALID"),
    Case((2, 8, 9, 3), (3, 3, 3, 4), 2, "SAME"),
    Case((1, 11, 13, 2), (4, 5, 2, 3), 3, "SAME"),
    Case((1, 6, 6, 4), (1, 1, 4, 2), 2, "VALID"),
)


def gradients_chapter(seed: int) -> Chapter:
    """Derive the gradients, work an example with stride 2 out, and check several cases.

    Args:
        seed: of all numbers.
    """
    generator = np.random.default_rng(seed)
    checks = {case: _check(case, generator) for case in CASES}
    inputs = generator.integers(-3, 4, (1, 5, 5, 1)).astype(np.float64)
    kernel = generator.integers(-2, 3, (3, 3, 1, 1)).astype(np.float64)
    upstream = generator.choice([-2.0, -1.0, 1.0, 2.0], (1, 2, 2, 1))
    example = {
        "inputs": inputs,
        "kernel": kernel,
        "upstream": upstream,
        "spread": spread(upstream, 2, (3, 3)),
        "towards_inputs": input_gradient(inputs.shape, kernel, upstream, 2, "VALID"),
        "towards_kernel": kernel_gradient(inputs, kernel.shape, upstream, 2, "VALID"),
    }
    values = {
        "table": _table(checks),
        "worst": scientific(max(map(max, checks.values()))),
        "cases": str(len(checks)),
        "example_difference": f"{_example_difference(example):g}",
    }
    arrays = example | {"differences": np.array(list(checks.values()))}
    figures = {"connections": _draw_connections(), "stride_2": _draw_example(example)}
    return Chapter("gradients", "Gradients: the way back is a convolution too", figures, values, arrays)


def convolve(inputs: np.ndarray, kernel: np.ndarray, stride: int, padding: Padding) -> np.ndarray:
    """What TensorFlow calls a convolution, in NumPy.

    Args:
        inputs: (n, H, W, C).
        kernel: (h, w, C, K).

    Returns:
        (n, H', W', K): y[n, i, j, k] = Σ w[a, b, c, k] · x[n, s·i + a, s·j + b, c].
    """
    padded = np.pad(inputs, _zeros(inputs.shape, kernel.shape, stride, padding))
    windows = sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijcab,abck->nijk", windows, kernel)


def kernel_gradient(
    inputs: np.ndarray, kernel_shape: tuple[int, ...], upstream: np.ndarray, stride: int, padding: Padding
) -> np.ndarray:
    """The gradient of a loss towards the kernel: the correlation of the input with the gradient of the output.

    Args:
        inputs: (n, H, W, C).
        kernel_shape: (h, w, C, K).
        upstream: (n, H', W', K), the gradient of the loss towards the output.

    Returns:
        (h, w, C, K).
    """
    padded = np.pad(inputs, _zeros(inputs.shape, kernel_shape, stride, padding))
    places = spread(upstream, stride, _places(padded.shape, kernel_shape))
    windows = sliding_window_view(padded, places.shape[1:3], axis=(1, 2))
    return np.einsum("nabcij,nijk->abck", windows, places)


def input_gradient(
    input_shape: tuple[int, ...], kernel: np.ndarray, upstream: np.ndarray, stride: int, padding: Padding
) -> np.ndarray:
    """The gradient of a loss towards the input: the full correlation of the output's with the flipped kernel.

    It is the transposed convolution of `upstream`.

    Args:
        input_shape: (n, H, W, C).
        kernel: (h, w, C, K).
        upstream: (n, H', W', K), the gradient of the loss towards the output.

    Returns:
        (n, H, W, C).
    """
    zeros = _zeros(input_shape, kernel.shape, stride, padding)
    padded_shape = tuple(length + sum(pair) for length, pair in zip(input_shape, zeros, strict=True))
    places = spread(upstream, stride, _places(padded_shape, kernel.shape))
    height, width = kernel.shape[:2]
    bordered = np.pad(places, ((0, 0), (height - 1, height - 1), (width - 1, width - 1), (0, 0)))
    windows = sliding_window_view(bordered, (height, width), axis=(1, 2))
    padded = np.einsum("npqkab,abck->npqc", windows, kernel[::-1, ::-1])
    (top, _), (left, _) = zeros[1:3]
    return padded[:, top : top + input_shape[1], left : left + input_shape[2]]


def spread(upstream: np.ndarray, stride: int, places: tuple[int, int]) -> np.ndarray:
    """Put the gradients (n, H', W', K) `stride` apart, zeros between and behind: (n, *places, K)."""
    wide = np.zeros((upstream.shape[0], *places, upstream.shape[-1]), upstream.dtype)
    height, width = upstream.shape[1:3]
    wide[:, : height * stride : stride, : width * stride : stride] = upstream
    return wide


def tape_gradients(
    inputs: np.ndarray, kernel: np.ndarray, upstream: np.ndarray, stride: int, padding: Padding
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients towards the input and the kernel, as TensorFlow computes them."""
    x, w = tf.constant(inputs), tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        outputs = tf.nn.conv2d(x, w, stride, padding)
    towards_inputs, towards_kernel = tape.gradient(outputs, [x, w], output_gradients=tf.constant(upstream))
    return towards_inputs.numpy(), towards_kernel.numpy()


def _zeros(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], stride: int, padding: Padding
) -> list[tuple[int, int]]:
    """The padding of every axis of the input."""
    ways = [
        extent(length, size, stride, padding) for length, size in zip(input_shape[1:3], kernel_shape[:2], strict=True)
    ]
    return [(0, 0), *((way.before, way.after) for way in ways), (0, 0)]


def _places(padded_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> tuple[int, int]:
    """Where a kernel fits with stride 1."""
    return padded_shape[1] - kernel_shape[0] + 1, padded_shape[2] - kernel_shape[1] + 1


def _check(case: Case, generator: np.random.Generator) -> Differences:
    """Compare with TensorFlow on random numbers."""
    inputs, kernel = generator.normal(size=case.inputs), generator.normal(size=case.kernel)
    how = case.stride, case.padding
    upstream = generator.normal(size=convolve(inputs, kernel, *how).shape)
    towards_inputs = input_gradient(inputs.shape, kernel, upstream, *how)
    towards_kernel = kernel_gradient(inputs, kernel.shape, upstream, *how)
    taped_inputs, taped_kernel = tape_gradients(inputs, kernel, upstream, *how)
    transposed = tf.nn.conv2d_transpose(upstream, kernel, inputs.shape, *how).numpy()
    return Differences(
        inputs=_largest_difference(towards_inputs, taped_inputs),
        kernel=_largest_difference(towards_kernel, taped_kernel),
        transposed=_largest_difference(towards_inputs, transposed),
    )


def _largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max())


def _example_difference(example: dict[str, np.ndarray]) -> float:
    found = tape_gradients(example["inputs"], example["kernel"], example["upstream"], 2, "VALID")
    ours = (example["towards_inputs"], example["towards_kernel"])
    return max(map(_largest_difference, ours, found))


def _table(checks: dict[Case, Differences]) -> str:
    rows = []
    for case, differences in checks.items():
        shapes = [dimensions(shape) for shape in (case.inputs, case.kernel)]
        rows.append([*(scientific(size) for size in differences), str(case.stride), case.padding, *shapes])
    return table(["∂L/∂x", "∂L/∂w", "transposed", "stride", "padding", "input", "filters"], rows)


def _draw_connections() -> Figure:
    """Which weight leads from which of five inputs to which of three outputs; once forward, once back."""
    figure = new_figure(WIDTH, 4.6)
    forward, back = figure.subplots(2, 1)
    _connect(forward, lambda _, output: output == 1)
    forward.set_title("forward: $y_2 = w_1 x_2 + w_2 x_3 + w_3 x_4$", fontsize=11)
    _connect(back, lambda value, _: value == 2)
    back.set_title("back: $\\partial L/\\partial x_3 = w_3 g_1 + w_2 g_2 + w_1 g_3$", fontsize=11)
    return figure


def _connect(axes: Axes, marked: Callable[[int, int], bool]) -> None:
    axes.set_axis_off()
    axes.set(xlim=(-0.6, 4.6), ylim=(-0.3, 1.3))
    for output in range(3):
        for number, color in enumerate(WEIGHT_COLORS):
            value = output + number
            strong = marked(value, output)
            axes.plot([value, output + 1], [0.12, 0.88], color=color, linewidth=2.5, alpha=1 if strong else 0.18)
            if strong:
                x, y = 0.62 * value + 0.38 * (output + 1), 0.12 + 0.38 * 0.76
                how = {"facecolor": "white", "edgecolor": "none", "pad": 1}
                axes.text(x, y, f"$w_{number + 1}$", color=color, fontsize=11, ha="center", va="center", bbox=how)
    for value in range(5):
        axes.text(value, 0, f"$x_{value + 1}$", fontsize=12, ha="center", va="center")
    for output in range(3):
        axes.text(output + 1, 1, f"$y_{output + 1}$", fontsize=12, ha="center", va="center")


def _draw_example(example: dict[str, np.ndarray]) -> Figure:
    figure, cells = panels(6, 2, 0.85)
    titles = {
        "inputs": "input x",
        "kernel": "filter w",
        "upstream": "gradient of the output, g",
        "spread": "g, spread by the stride",
        "towards_inputs": "∂L/∂x",
        "towards_kernel": "∂L/∂w",
    }
    for axes, (name, title) in zip(cells, titles.items(), strict=True):
        values = example[name]
        show_numbers(axes, values[..., 0, 0] if "kernel" in name else values[0, ..., 0], title)
    return figure
