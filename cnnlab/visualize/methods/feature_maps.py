"""`method=feature_maps`: what layers make of an image."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, SEED, not_empty
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.reporting.figure import MUTED_COLOR, new_figure, save_figure, shorten
from cnnlab.visualize.attribution.maps import in_batches
from cnnlab.visualize.drawing.mosaic import draw_mosaic
from cnnlab.visualize.drawing.overlay import show_image
from cnnlab.visualize.feature_visualization.dead import constant, labels, note
from cnnlab.visualize.images import SplitName, choose_images
from cnnlab.visualize.layers import (
    activated,
    choose_channels,
    choose_layers,
    file_stem,
    layer_outputs,
    some_convolutions,
)
from cnnlab.visualize.subject import load_subject

COLUMNS = 8
LEAST_PIXELS = 48
"""Side of a feature map in the figure below which its pixels are repeated; for the numbers above to be legible."""


def draw_feature_maps(
    config: DictConfig,
    folder: Path,
    *,
    layers: Annotated[list[str], not_empty] | None = None,
    images: Annotated[int, AT_LEAST_1] | list[int] | str = 1,
    split: SplitName = "auto",
    channels: Annotated[int, AT_LEAST_1] | list[int] = 64,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw the feature maps of layers, a figure IMAGE-LAYER.png each.

    Maps are standardised one by one for display (see `standardised`); those that are the same everywhere are called
    dead. feature_maps.npz holds them as they are: `images` uint8 (n, H, W, C), and for each layer float32
    (n, h, w, channels).

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        layers: names; None for the activations after up to 12 convolutions, from the first to the last.
        images: see `choose_images`.
        split: which the images are of.
        channels: of each layer: the first so many, or their indices.
        seed: of the draw.

    Raises:
        UserError: there is no such layer, channel or image, or a layer returns no feature maps.
    """
    subject = load_subject(config)
    network = subject.network
    names = layers or [activated(network, name) for name in some_convolutions(network)]
    choose_layers(network, names)
    chosen = choose_images(subject, images, split, seed)
    maps = feature_maps(network, names, chosen.images)
    kept: dict[str, Any] = {}
    for name, values in maps.items():
        indices = choose_channels(channels, name, values.shape[-1], "method.channels")
        kept[name] = values[..., indices]
        for number, (image, label) in enumerate(zip(kept[name], chosen.names, strict=True)):
            dead = flat(image)
            title = f"{subject.title} · {shorten(label, 24)} · {name}: {len(indices)} of {values.shape[-1]} channels"
            title += note(indices, dead, "this image")
            path = folder / f"{number}-{file_stem(name)}.png"
            _draw(chosen.images[number], image, labels(indices, dead), path, title, subject.metadata(title, seed))
    np.savez_compressed(folder / "feature_maps.npz", images=chosen.images, **kept)


def feature_maps(network: keras.Model, names: Sequence[str], images: np.ndarray) -> dict[str, np.ndarray]:
    """What layers return for images, of which a bounded number passes through the network together.

    Args:
        network: from pixels to logits.
        names: of layers.
        images: uint8 or float (n, H, W, C), 0 to 255.

    Returns:
        Float32 (n, h, w, channels) by layer name, in the order of the names.

    Raises:
        UserError: a layer returns no feature maps but, say, one number per unit.
    """
    evaluate = layer_outputs(network, names)

    def look(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, _ = evaluate(pixels)
        for name in names:
            if len(outputs[name].shape) != 4:
                shape = shown([*outputs[name].shape[1:]])
                raise UserError(
                    f"method.layers={name}: returns no feature maps but {shape} per image; choose a layer before it"
                )
        return {name: outputs[name] for name in names}

    found = in_batches(look, images.shape[1:], what="feature maps")(images)
    return {name: found[name] for name in names}


def standardised(maps: np.ndarray) -> np.ndarray:
    """Maps (h, w, n) for display, after Chollet, "Deep Learning with Python" (2017), section 5.4.1.

    Returns:
        uint8 (n, h, w): each map with its own mean at 128 and its standard deviation at 64, cut off at 0 and 255; a
        constant map is 128 all over.
    """
    tiles = np.moveaxis(maps, -1, 0).astype(np.float64)
    deviation = tiles.std(axis=(1, 2), keepdims=True)
    varied = ~flat(maps)[:, np.newaxis, np.newaxis] & (deviation > 0)
    scores = np.divide(tiles - tiles.mean(axis=(1, 2), keepdims=True), deviation, out=0 * tiles, where=varied)
    return np.clip(64 * scores + 128, 0, 255).astype(np.uint8)


def flat(maps: np.ndarray) -> np.ndarray:
    """Whether each of the maps (h, w, n) is constant: bool (n,)."""
    return constant(maps.min(axis=(0, 1)), maps.max(axis=(0, 1)), values=maps.shape[0] * maps.shape[1])


def _draw(
    image: np.ndarray, maps: np.ndarray, names: Sequence[str], path: Path, title: str, metadata: Mapping[str, str]
) -> None:
    """The image on the left, the named maps (h, w, n) beside it."""
    tiles = standardised(maps)
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    figure = new_figure(2.2 + 0.8 * max(columns, 4), 0.7 + 0.9 * max(rows, 2), title)
    left, right = figure.subplots(1, 2, width_ratios=[1.4, 0.8 * max(columns, 4)])
    show_image(left, image)
    left.set_anchor("N")
    repeated = tiles.repeat(_zoom(tiles), axis=1).repeat(_zoom(tiles), axis=2)
    gap = max(1, round(0.22 * repeated.shape[1]))
    drawn = draw_mosaic(right, repeated, columns, labels=names, gap=gap, cmap="viridis", vmin=0, vmax=255)
    right.set_anchor("N")
    bar = figure.colorbar(drawn, ax=right, shrink=min(1.0, 2 / rows), anchor=(0, 1), aspect=20, pad=0.02)
    bar.set_ticks([0, 64, 128, 192, 255], labels=["−2", "−1", "mean", "+1", "+2"], fontsize=7)
    bar.set_label("standard deviations of each feature map", fontsize=7, color=MUTED_COLOR)
    bar.outline.set_visible(False)
    save_figure(figure, path, metadata)


def _zoom(tiles: np.ndarray) -> int:
    """How often a pixel is repeated, so that the gap between small maps has room for their numbers."""
    return max(1, math.ceil(LEAST_PIXELS / tiles.shape[1]))
