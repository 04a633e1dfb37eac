"""Convolutions along one and three axes, dilated, transposed, depthwise and separable, on small signals."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import dimensions, table
from cnnlab.mechanics.pictures import SIGNED, WIDTH, panels, show, show_numbers
from cnnlab.models.cost import count_macs
from cnnlab.models.graph import Use
from cnnlab.reporting.figure import GRID_COLOR, TRAIN_COLOR, VALIDATION_COLOR, new_figure

DILATIONS = (1, 2, 4)
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Example:
    """A layer without bias, given weights, and what it makes of a signal.

    Attributes:
        inputs, outputs: float32 (…, channels), without a batch axis.
        weights: of the layer, in its order.
        parameters: their number.
        multiplications: that one signal takes; those with padded zeros count.
    """

    inputs: np.ndarray
    weights: tuple[np.ndarray, ...]
    outputs: np.ndarray
    parameters: int
    multiplications: int


def convolve(layer: keras.Layer, inputs: np.ndarray, *weights: np.ndarray) -> Example:
    """Apply a convolution with these weights; inputs (…, channels) of any real type."""
    inputs = inputs.astype(np.float32)
    signal = keras.Input(inputs.shape)
    use = Use(layer, [signal], [layer(signal)])
    layer.set_weights(weights)
    outputs = layer(inputs[np.newaxis])[0].numpy()
    return Example(inputs, weights, outputs, layer.count_params(), count_macs(use))


def kinds_chapter() -> Chapter:
    """Show every kind on a signal of its own."""
    dilated = {f"dilated_{rate}": dilated_example(rate) for rate in DILATIONS}
    examples = {
        "conv1d": conv1d_example(),
        "conv3d": conv3d_example(),
        **dilated,
        "transposed": transposed_example(),
        "depthwise": depthwise_example(),
        "separable": separable_example(),
    }
    figures = {
        "conv1d": _draw_conv1d(examples["conv1d"]),
        "conv3d": _draw_conv3d(examples["conv3d"]),
        "dilated": _draw_dilated(list(dilated.values())),
        "transposed": _draw_transposed(examples["transposed"]),
        "separable": _draw_separable(examples["depthwise"], examples["separable"]),
    }
    arrays: dict[str, np.ndarray] = {}
    for name, example in examples.items():
        arrays |= {f"{name}/inputs": example.inputs, f"{name}/outputs": example.outputs}
        arrays |= {f"{name}/weights_{number}": weights for number, weights in enumerate(example.weights)}
    values = _values(examples) | {"table": _table(examples)}
    return Chapter("kinds_of_convolution", "Kinds of convolution", figures, values, arrays)


def conv1d_example() -> Example:
    """A row with two steps and a spike, and the difference of the neighbours on both sides."""
    signal = np.repeat([0, 2, 0, 3, 0], [5, 7, 5, 1, 6])
    return convolve(layers.Conv1D(1, 3, padding="same", use_bias=False), signal[:, np.newaxis], _column([-1, 0, 1]))


def conv3d_example() -> Example:
    """A clip of two dots that move right and left, and a filter that tells which is which."""
    clip = np.zeros((4, 5, 8, 1))
    for frame in range(4):
        clip[frame, 1, 1 + frame] = clip[frame, 3, 6 - frame] = 1
    moves_right = np.array([[1, -1], [-1, 1]], np.float32).reshape(2, 1, 2, 1, 1)
    return convolve(layers.Conv3D(1, (2, 1, 2), use_bias=False), clip, moves_right)


def dilated_example(rate: int) -> Example:
    """A single 1 among zeros, and a filter of three weights that are `rate` apart."""
    signal = np.zeros((21, 1))
    signal[10] = 1
    layer = layers.Conv1D(1, 3, padding="same", dilation_rate=rate, use_bias=False)
    return convolve(layer, signal, _column([1, 2, 3]))


def transposed_example() -> Example:
    """Three values, each of which stamps a multiple of the filter, two places apart."""
    layer = layers.Conv1DTranspose(1, 3, strides=2, use_bias=False)
    return convolve(layer, np.array([[3], [1], [2]]), _column([1, 2, 1]))


def depthwise_example() -> Example:
    """A picture with a red, a green and a blue figure, and a filter for each colour."""
    return convolve(layers.DepthwiseConv2D(3, padding="same", use_bias=False), _picture(), _colour_filters())


def separable_example() -> Example:
    """The same, followed by two mixtures of the three channels."""
    mixtures = np.array([[1, 1], [1, -1], [1, 0]], np.float32).reshape(1, 1, 3, 2)
    layer = layers.SeparableConv2D(2, 3, padding="same", use_bias=False)
    return convolve(layer, _picture(), _colour_filters(), mixtures)


def stacked_reach(size: int, rates: tuple[int, ...]) -> int:
    """How many values of a row one output sees through convolutions of `size` weights, dilated by `rates`."""
    return 1 + (size - 1) * sum(rates)


def separable_share(size: int, channels_in: int, channels_out: int) -> float:
    """Weights of a separable convolution of size × size by those of an ordinary one."""
    inputs = keras.Input((8, 8, channels_in))
    ordinary = layers.Conv2D(channels_out, size, use_bias=False)
    separable = layers.SeparableConv2D(channels_out, size, use_bias=False)
    for layer in (ordinary, separable):
        layer(inputs)
    return separable.count_params() / ordinary.count_params()


def _column(weights: list[int]) -> np.ndarray:
    """Weights along one axis, from one channel to one."""
    return np.array(weights, np.float32)[:, np.newaxis, np.newaxis]


def _picture() -> np.ndarray:
    picture = np.zeros((8, 8, 3))
    picture[1:7, 2, 0] = 1
    picture[4, 1:7, 1] = 1
    picture[2:6, 3:7, 2] = 1
    return picture


def _colour_filters() -> np.ndarray:
    """For red a vertical line, for green a horizontal one, for blue what differs from its surroundings."""
    vertical = np.outer([1, 1, 1], [0, 1, 0])
    surroundings = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    return np.stack([vertical, vertical.T, surroundings], axis=-1).astype(np.float32)[..., np.newaxis]


def _values(examples: Mapping[str, Example]) -> dict[str, str]:
    size, channels = 3, 128
    return {
        "reach_plain": str(stacked_reach(3, (1,) * len(DILATIONS))),
        "reach_dilated": str(stacked_reach(3, DILATIONS)),
        "rates": ", ".join(map(str, DILATIONS[:-1])) + f" and {DILATIONS[-1]}",
        "transposed_sums": ", ".join(f"{value:g}" for value in examples["transposed"].outputs[:, 0]),
        "share": f"{separable_share(size, channels, channels):.1%}",
        "share_size": f"{size} × {size}",
        "share_channels": str(channels),
    }


def _table(examples: Mapping[str, Example]) -> str:
    rows = [
        [
            name.replace("_", ", rate "),
            dimensions(example.inputs.shape),
            ", ".join(dimensions(weights.shape) for weights in example.weights),
            dimensions(example.outputs.shape),
            f"{example.parameters:,}",
            f"{example.multiplications:,}",
        ]
        for name, example in examples.items()
    ]
    return table(["kind", "input", "weights", "output", "weights, all", "mult."], rows)


def _stems(axes: Axes, values: np.ndarray, title: str, color: str = TRAIN_COLOR) -> None:
    axes.axhline(0, color="black", linewidth=0.8)
    axes.vlines(range(len(values)), 0, values, color=color, linewidth=3)
    axes.plot(values, "o", color=color, markersize=4)
    axes.set_title(title, fontsize=9, loc="left")
    axes.grid(axis="y", color=GRID_COLOR)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.tick_params(labelsize=8, length=0)
    axes.margins(y=0.15)


def _draw_colour_bar(axes: Axes, image: AxesImage) -> None:
    """Put the colour bar of an image into the middle of a cell that is left over."""
    axes.set_axis_off()
    bar = axes.figure.colorbar(image, cax=axes.inset_axes((0.3, 0.05, 0.12, 0.9)))
    bar.ax.tick_params(labelsize=8)


def _draw_conv1d(example: Example) -> Figure:
    figure = new_figure(WIDTH, 2.8)
    above, below = figure.subplots(2, 1)
    _stems(above, example.inputs[:, 0], "signal")
    _stems(below, example.outputs[:, 0], "after the filter −1 0 1", VALIDATION_COLOR)
    return figure


def _draw_conv3d(example: Example) -> Figure:
    frames, responses = example.inputs[..., 0], example.outputs[..., 0]
    figure, cells = panels(8, 4, frames.shape[1] / frames.shape[2])
    limit = np.abs(responses).max()
    for number, frame in enumerate(frames):
        show(cells[number], frame, f"frame {number + 1}", cmap="gray", vmin=0, vmax=1)
    for number, response in enumerate(responses):
        title = f"frames {number + 1}, {number + 2}"
        image = show(cells[4 + number], response, title, cmap=SIGNED, vmin=-limit, vmax=limit)
    _draw_colour_bar(cells[7], image)
    return figure


def _draw_dilated(examples: list[Example]) -> Figure:
    figure = new_figure(WIDTH, 4.6)
    first, *others = figure.subplots(1 + len(examples), 1, sharex=True)
    _stems(first, examples[0].inputs[:, 0], "signal")
    for axes, example, rate in zip(others, examples, DILATIONS, strict=True):
        _stems(axes, example.outputs[:, 0], f"after 1 2 3, dilation {rate}", VALIDATION_COLOR)
    return figure


def _draw_transposed(example: Example) -> Figure:
    """The stamp of every value in a row of its own, and their sum."""
    values, weights, sums = example.inputs[:, 0], example.weights[0][:, 0, 0], example.outputs[:, 0]
    rows = np.zeros((len(values) + 1, len(sums)))
    for number, value in enumerate(values):
        rows[number, 2 * number : 2 * number + len(weights)] = value * weights
    rows[-1] = sums
    figure = new_figure(WIDTH, 2.6)
    axes = figure.subplots()
    show_numbers(axes, rows, limit=10)
    labels = [*(f"{value:g} × (1 2 1)" for value in values), "sum"]
    axes.set_yticks(range(len(rows)), labels, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.axhline(len(values) - 0.5, color="black", linewidth=1.5)
    return figure


def _draw_separable(depthwise: Example, separable: Example) -> Figure:
    figure, cells = panels(12, 3, 1.0)
    maps, filters = depthwise.outputs, depthwise.weights[0][..., 0]
    limit = np.abs(separable.outputs).max()
    for channel, name in enumerate(CHANNELS):
        show(cells[channel], depthwise.inputs[..., channel], name, cmap="gray", vmin=0, vmax=1)
        show_numbers(cells[3 + channel], filters[..., channel], f"filter for {name}", limit=limit)
        show(cells[6 + channel], maps[..., channel], f"{name}, filtered", cmap=SIGNED, vmin=-limit, vmax=limit)
    for number, title in enumerate(("all added", "red − green")):
        image = show(cells[9 + number], separable.outputs[..., number], title, cmap=SIGNED, vmin=-limit, vmax=limit)
    _draw_colour_bar(cells[11], image)
    return figure
