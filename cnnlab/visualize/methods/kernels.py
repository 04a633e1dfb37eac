"""`method=kernels`: the weights of convolutions, as pictures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, not_empty
from cnnlab.errors import UserError
from cnnlab.models.backbones import BackbonePreprocessing
from cnnlab.reporting.figure import new_figure, save_figure
from cnnlab.visualize.drawing.mosaic import draw_mosaic
from cnnlab.visualize.layers import (
    CONVOLUTIONS,
    choose_channels,
    choose_filters,
    choose_layers,
    computing_layers,
    convolutions,
    file_stem,
    some_convolutions,
)
from cnnlab.visualize.subject import load_subject

COLUMNS = 16
"""Kernels of the first layer in a row."""

DEEPER = 24
"""Filters of a deeper layer where nobody says how many."""

SIGNED = "RdBu_r"

Scale = Literal["together", "alone"]


def draw_kernels(
    config: DictConfig,
    folder: Path,
    *,
    layers: Annotated[list[str], not_empty] | None = None,
    filters: Annotated[int, AT_LEAST_1] | list[list[int]] | None = None,
    channels: Annotated[int, AT_LEAST_1] | list[int] = 16,
    scale: Scale = "together",
) -> None:
    """Draw the kernels of convolutions, a figure LAYER.png each, and write them to kernels.npz.

    Kernels that read the images themselves are drawn as such, grey for zero: in colour, or where there is one
    channel, with blue for negative and red for positive weights. Those of deeper layers are a grid with a row
    per filter and a column per input channel.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        layers: names of convolutions; None for up to 12, from the first to the last.
        filters: the first so many of each layer, or the indices for each layer; None for all that read the images, and
            the first 24 of each deeper layer.
        channels: of the input of a deeper layer, the first so many, or their indices.
        scale: whether all kernels of a figure share one range of colours, or each has its own.

    Raises:
        UserError: there is no such layer, filter or channel, or the layer has no kernels.
    """
    subject = load_subject(config)
    network = subject.network
    first = convolutions(network)[0]
    chosen = choose_layers(network, layers or some_convolutions(network))
    kernels = {name: kernels_of(layer) for name, layer in chosen.items()}
    counts = {name: kernel.shape[-1] for name, kernel in kernels.items()}
    if filters is None:
        picked = {name: list(range(count if name == first else min(count, DEEPER))) for name, count in counts.items()}
    else:
        picked = choose_filters(filters, counts)
    kept: dict[str, Any] = {name: kernel[..., picked[name]] for name, kernel in kernels.items()}
    for name, kernel in kept.items():
        path = folder / f"{file_stem(name)}.png"
        title = f"{subject.title} · {name}: {len(picked[name])} of {counts[name]} kernels"
        if name == first and kernel.shape[2] == subject.image_shape[2]:
            images = kernel[:, :, _colour_order(network)] if kernel.shape[2] == 3 else kernel
            _draw_images(images, picked[name], scale, path, title, subject.metadata(title))
        else:
            inputs = choose_channels(channels, name, kernel.shape[2], "method.channels")
            title += f", {len(inputs)} of {kernel.shape[2]} input channels"
            axis = "input channel of the filter's group" if _groups(chosen[name]) > 1 else "input channel"
            _draw_table(kernel[:, :, inputs], (picked[name], inputs), axis, scale, path, title, subject.metadata(title))
    np.savez_compressed(folder / "kernels.npz", **kept)


def kernels_of(layer: keras.Layer) -> np.ndarray:
    """The kernels of a layer, (height, width, input channels, filters).

    A depthwise convolution (also the first half of a separable one) has one filter, of one input channel, for each
    of its outputs.

    Raises:
        UserError: it is no two-dimensional convolution.
    """
    if isinstance(layer, keras.layers.SeparableConv2D | keras.layers.DepthwiseConv2D):
        separable = isinstance(layer, keras.layers.SeparableConv2D)
        kernel = np.asarray(layer.depthwise_kernel if separable else layer.kernel)
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return np.asarray(layer.kernel).swapaxes(2, 3)
    if isinstance(layer, CONVOLUTIONS):
        return np.asarray(layer.kernel)
    raise UserError(f"method.layers={layer.name}: is no convolution, but {type(layer).__name__}, and has no kernels")


def _groups(layer: keras.Layer) -> int:
    """How many groups of input channels a convolution keeps apart."""
    if isinstance(layer, keras.layers.SeparableConv2D | keras.layers.DepthwiseConv2D):
        return int(layer.input.shape[-1])
    return getattr(layer, "groups", 1)


def _colour_order(network: keras.Model) -> list[int]:
    """Which input channels of the first convolution hold red, green and blue: some networks are made for BGR."""
    for layer in computing_layers(network).values():
        if isinstance(layer, BackbonePreprocessing):
            red_green_blue = np.asarray(layer(255 * np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)))
            return [int(np.argmax(channels)) for channels in red_green_blue[:, 0, 0]]
    return [0, 1, 2]


def _draw_images(
    kernel: np.ndarray, filters: Sequence[int], scale: Scale, path: Path, title: str, metadata: Mapping[str, str]
) -> None:
    """Kernels (h, w, 1 or 3, n) of the first layer as images with the number of each."""
    tiles = _scaled(np.moveaxis(kernel, -1, 0), scale, axis=(1, 2, 3))
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure(max(4.0, 0.55 * columns + 0.6), 0.6 + 0.64 * rows, title)
    axes = figure.subplots()
    gap = max(1, round(0.3 * tiles.shape[1]))
    if kernel.shape[2] == 3:
        draw_mosaic(axes, (tiles + 1) / 2, columns, labels=filters, gap=gap)
    else:
        image = draw_mosaic(axes, tiles[..., 0], columns, labels=filters, gap=gap, cmap=SIGNED, vmin=-1, vmax=1)
        _add_color_bar(figure, image, kernel, scale)
    save_figure(figure, path, metadata)


def _draw_table(
    kernel: np.ndarray,
    numbers: tuple[Sequence[int], Sequence[int]],
    axis: str,
    scale: Scale,
    path: Path,
    title: str,
    metadata: Mapping[str, str],
) -> None:
    """Kernels (h, w, inputs, filters): a row per filter, a column per input channel, of these numbers."""
    filters, inputs = numbers
    height, width = kernel.shape[:2]
    tiles = _scaled(kernel.transpose(3, 2, 0, 1), scale, axis=(1, 2, 3))
    figure = new_figure(max(4.0, 1.5 + 0.3 * len(inputs)), 1.2 + 0.3 * len(filters) * height / width, title)
    axes = figure.subplots()
    image = draw_mosaic(axes, tiles.reshape(-1, height, width), len(inputs), cmap=SIGNED, vmin=-1, vmax=1)
    axes.set_axis_on()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=6)
    axes.set_xticks((width - 1) / 2 + (width + 1) * np.arange(len(inputs)), list(map(str, inputs)))
    axes.set_yticks((height - 1) / 2 + (height + 1) * np.arange(len(filters)), list(map(str, filters)))
    axes.set_xlabel(axis, fontsize=8)
    axes.set_ylabel("filter", fontsize=8)
    _add_color_bar(figure, image, kernel, scale)
    save_figure(figure, path, metadata)


def _scaled(kernels: np.ndarray, scale: Scale, axis: tuple[int, ...]) -> np.ndarray:
    """Weights divided by the largest magnitude, of all kernels or of each, so that zero stays zero."""
    largest = np.abs(kernels).max(axis=axis if scale == "alone" else None, keepdims=True)
    return kernels / np.maximum(largest, np.finfo(np.float32).tiny)


def _add_color_bar(figure: Figure, image: AxesImage, kernel: np.ndarray, scale: Scale) -> None:
    shrink = min(0.9, 2.5 / figure.get_figheight())
    bar = figure.colorbar(image, ax=image.axes, shrink=shrink, anchor=(0, 1), aspect=20, pad=0.02)
    largest = np.abs(kernel).max()
    labels = ["-max", "0", "+max"] if scale == "alone" else [f"{-largest:.2g}", "0", f"{largest:.2g}"]
    bar.set_ticks([-1, 0, 1], labels=labels, fontsize=7)
    bar.set_label("weight, of each filter's largest" if scale == "alone" else "weight", fontsize=8)
    bar.outline.set_visible(False)
