"""`method=deconvnet`: what excites channels the most, and which pixels of it they respond to."""

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.axes import Axes
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, SEED, not_empty
from cnnlab.config.types import shown
from cnnlab.data.dataset import Split
from cnnlab.data.sample import decoded
from cnnlab.errors import UserError
from cnnlab.evaluation.predictions import image_batches
from cnnlab.models.receptive_field import ReceptiveField, receptive_fields
from cnnlab.reporting.figure import MUTED_COLOR, new_figure, save_figure, shorten
from cnnlab.visualize.attribution.projection import projector
from cnnlab.visualize.drawing.mosaic import draw_mosaic
from cnnlab.visualize.feature_visualization.top_activations import TopActivations, images_at_a_time, top_activations
from cnnlab.visualize.images import SplitName, choose_split
from cnnlab.visualize.layers import (
    activated,
    choose_filters,
    choose_layers,
    file_stem,
    layer_outputs,
    some_convolutions,
)
from cnnlab.visualize.progress import track
from cnnlab.visualize.subject import load_subject

SIGNED = "RdBu_r"
GROUND = "#d5dbe5"
CHANNELS_IN_A_ROW = 2
BLOCK = 1.75
"""Inches that the projections, or the patches, of one channel are wide."""

LEAST_PIXELS = 32
"""Side of a tile below which its pixels are repeated, to leave room for narrow gaps."""

FULL_COLOR = 99.5
"""Percentile of a projection's sizes that is drawn in full colour; by its largest pixel alone it would be faint."""

CAPTION = (
    "left: projections, each scaled alone; red, or in colour images light, above zero · right: what the channel saw"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Projected:
    """The strongest activations of some channels of a layer, projected down.

    Attributes:
        top: where the activations are; `top.images` are positions in the split.
        labels: int32 (m, k) classes of the images.
        projections: float32 (m, k, h, w, C), cut to the receptive field; NaN beyond the border of the image.
        patches: float32 (m, k, h, w, C), the same part of the images, 0 to 255.
    """

    top: TopActivations
    labels: np.ndarray
    projections: np.ndarray
    patches: np.ndarray


def draw_deconvnet(
    config: DictConfig,
    folder: Path,
    *,
    layers: Annotated[list[str], not_empty] | None = None,
    filters: Annotated[int, AT_LEAST_1] | list[list[int]] | None = 8,
    top: Annotated[int, AT_LEAST_1] = 9,
    split: SplitName = "auto",
    limit: Annotated[int, AT_LEAST_1] | None = 10000,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw for channels the strongest activations over a dataset, projected down to the pixels.

    After Zeiler and Fergus (2013), figure 2: LAYER.png shows for each channel the images that excite it the most, cut
    to what the strongest activation in each can see, beside the projections of these activations, each scaled alone.
    Channels that nothing excites, or that are the same everywhere, are named. top.csv lists it all; deconvnet.npz
    holds, for every layer, `LAYER/NAME` of channels (m,), values, images and labels (m, k), positions (m, k, 2),
    projections and patches (m, k, h, w, C); see `Projected`.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        layers: names; None for the activations after up to 12 convolutions, from the first to the last.
        filters: the first so many channels of each layer, or the indices for each layer, or None for all.
        top: images per channel.
        split: where they are looked for.
        limit: look at so many images of the split, drawn at random; None for all.
        seed: of the draw.

    Raises:
        UserError: there is no such layer, filter or split; the split is smaller than `top`; or nothing can be
            projected down from a layer (see `projector`).
    """
    subject = load_subject(config)
    network = subject.network
    names = layers or [activated(network, name) for name in some_convolutions(network)]
    choose_layers(network, names)
    counts = count_channels(network, names)
    channels = choose_filters(filters, counts)
    projectors = {name: projector(network, name) for name in names}
    for project in projectors.values():
        project.get_concrete_function()  # what cannot be projected is refused before the data are read
    examples, indices = _examples(choose_split(subject, split), limit, seed)
    if len(indices) < top:
        raise UserError(f"method.top={top}: there are only {len(indices)} images to choose from")
    size = images_at_a_time(subject.image_shape)
    batches = track(image_batches(examples.images, size), "strongest activations", math.ceil(len(indices) / size))
    found = top_activations(network, channels, batches, top)
    fields = receptive_fields(network)
    results = {
        name: project_top(projectors[name], activations, fields[name], examples, indices)
        for name, activations in track(found.items(), "projections")
    }
    _write_arrays(results, subject.class_names, folder)
    for name, result in results.items():
        shares = f"{len(channels[name])} of {counts[name]} channels"
        title = f"{subject.title} · {name}: {shares} · the strongest of {len(indices):,} images"
        _draw(result, subject.class_names, folder / f"{file_stem(name)}.png", title, subject.metadata(title, seed))
        if len(dead := found[name].dead):
            log.warning("%s: channels %s are dead on these %s images", name, shown(dead.tolist()), f"{len(indices):,}")


def count_channels(network: keras.Model, names: Sequence[str]) -> dict[str, int]:
    """How many channels, or units, layers have.

    Raises:
        UserError: a layer returns something else.
    """
    outputs, _ = layer_outputs(network, names)(tf.zeros((1, *network.input_shape[1:])))
    for name in names:
        if len(outputs[name].shape) not in (2, 4):
            raise UserError(f"method.layers={name}: returns neither channels nor units, but {outputs[name].shape[1:]}")
    return {name: outputs[name].shape[-1] for name in names}


def project_top(
    project: tf.types.experimental.PolymorphicFunction,
    top: TopActivations,
    field: ReceptiveField,
    examples: Split,
    indices: np.ndarray,
) -> Projected:
    """Project the strongest activations of a layer and cut out what they can see.

    Args:
        project: of the layer; see `projector`.
        top: of the layer, among `examples`.
        field: of the layer.
        examples: the images looked at.
        indices: (n,) their positions in the split.
    """
    chosen, which = np.unique(top.images, return_inverse=True)
    images = decoded(examples.take(chosen)).images
    which = which.reshape(-1)
    channels = top.channels.astype(np.int32).repeat(top.images.shape[1])
    positions, values = top.positions.reshape(-1, 2), top.values.reshape(-1)
    size = images_at_a_time(images.shape[1:])
    projections, patches = [], []
    for start in range(0, len(which), size):
        part = slice(start, start + size)
        pixels = images[which[part]].astype(np.float32)
        projected = project(pixels, channels[part], positions[part], values[part]).numpy()
        projections.append(crop(projected, field, positions[part]))
        patches.append(crop(pixels, field, positions[part]))
    shape = top.images.shape
    return Projected(
        replace(top, images=indices[top.images]),
        examples.labels[top.images],
        *(np.concatenate(tiles).reshape(*shape, *tiles[0].shape[1:]) for tiles in (projections, patches)),
    )


def crop(images: np.ndarray, field: ReceptiveField, positions: np.ndarray) -> np.ndarray:
    """Cut out what units see.

    Args:
        images: (n, H, W, C).
        field: of the units.
        positions: (n, 2) of the unit for each image.

    Returns:
        Float32 (n, h, w, C) of the size of the field, or along an axis where that is larger, of the image. NaN where
        it lies outside the image, or where the unit sees nothing.
    """
    spans = (field.rows, field.columns)
    lengths = images.shape[1:3]
    sizes = [min(math.ceil(span.size), length) for span, length in zip(spans, lengths, strict=True)]
    tiles = np.full((len(images), *sizes, images.shape[-1]), np.nan, np.float32)
    for tile, image, position in zip(tiles, images, positions.tolist(), strict=True):
        top, bottom, left, right = field.box(position, lengths)
        row, column = (
            math.floor(span.offset + span.stride * place) if span.size < length else 0
            for span, place, length in zip(spans, position, lengths, strict=True)
        )
        tile[top - row : bottom - row, left - column : right - column] = image[top:bottom, left:right]
    return tiles


def _examples(split: Split, limit: int | None, seed: int) -> tuple[Split, np.ndarray]:
    """The images to look at, and their positions in the split."""
    if limit is None or limit >= len(split):
        return split, np.arange(len(split))
    indices = np.sort(np.random.default_rng(seed).choice(len(split), limit, replace=False))
    return split.take(indices), indices


def _write_arrays(results: Mapping[str, Projected], class_names: Sequence[str], folder: Path) -> None:
    """Write top.csv and deconvnet.npz."""
    tables = [_table(name, result, class_names) for name, result in results.items()]
    pd.concat(tables).to_csv(folder / "top.csv", index=False)
    arrays: dict[str, Any] = {}
    for name, result in results.items():
        of_top = {key: getattr(result.top, key) for key in ("channels", "values", "images", "positions")}
        of_tiles = {key: getattr(result, key) for key in ("labels", "projections", "patches")}
        arrays |= {f"{name}/{key}": value for key, value in (of_top | of_tiles).items()}
    np.savez_compressed(folder / "deconvnet.npz", **arrays)


def _table(layer: str, result: Projected, class_names: Sequence[str]) -> pd.DataFrame:
    """A line per channel and image."""
    top = result.top
    numbers, ranks = np.indices(top.values.shape)
    return pd.DataFrame(
        {
            "layer": layer,
            "channel": top.channels[numbers].ravel(),
            "rank": ranks.ravel() + 1,
            "value": top.values.ravel(),
            "image": top.images.ravel(),
            "row": top.positions[..., 0].ravel(),
            "column": top.positions[..., 1].ravel(),
            "class": [class_names[label] for label in result.labels.ravel()],
        }
    )


def _draw(result: Projected, class_names: Sequence[str], path: Path, title: str, metadata: Mapping[str, str]) -> None:
    """A block of projections and a block of patches for every channel."""
    count = len(result.top.channels)
    across = min(CHANNELS_IN_A_ROW, count)
    rows = math.ceil(count / across)
    tile = result.patches.shape[2:4]
    height = BLOCK * min(2.0, tile[0] / tile[1])
    figure = new_figure(2 * BLOCK * across + 0.8, 0.9 + (height + 0.45) * rows, title)
    figure.supxlabel(CAPTION, fontsize=8, color=MUTED_COLOR)
    cells = figure.subplots(rows, 2 * across, squeeze=False).reshape(-1, 2)
    for left, right in cells[count:]:
        left.set_axis_off()
        right.set_axis_off()
    for number, (left, right) in enumerate(cells[:count]):
        _draw_channel(left, right, result, number, class_names)
    save_figure(figure, path, metadata)


def _draw_channel(left: Axes, right: Axes, result: Projected, number: int, class_names: Sequence[str]) -> None:
    values = result.top.values[number]
    fires = result.top.fires[number]
    dead = f"dead: constant {values[0]:.3g}" if values[0] else "dead: never fires"
    title = f"{values[fires][-1]:.3g} to {values[0]:.3g}" if fires.any() else dead
    left.set_title(f"channel {result.top.channels[number]} · {title}", fontsize=8)
    projections = np.where(fires[:, None, None, None], result.projections[number], np.nan)
    patches = np.where(fires[:, None, None, None], result.patches[number], np.nan)
    sizes = np.abs(np.nan_to_num(projections))
    largest = np.percentile(sizes, FULL_COLOR, axis=(1, 2, 3), keepdims=True)
    largest = np.where(largest > 0, largest, sizes.max(axis=(1, 2, 3), keepdims=True))
    scaled = np.clip(projections / np.where(largest > 0, largest, 1), -1, 1)
    if patches.shape[-1] == 3:
        _draw_block(left, (scaled + 1) / 2)
        _draw_block(right, patches / 255)
    else:
        _draw_block(left, scaled[..., 0], cmap=SIGNED, vmin=-1, vmax=1)
        _draw_block(right, patches[..., 0], cmap="gray", vmin=0, vmax=255)
    counts = Counter(result.labels[number][fires].tolist()).most_common(3)
    names = ", ".join(f"{shorten(class_names[label], 10)} ×{times}" for label, times in counts)
    right.set_title(names, fontsize=7, color=MUTED_COLOR, parse_math=False)


def _draw_block(axes: Axes, tiles: np.ndarray, **how: Any) -> None:
    """Tiles in a square, on a ground that stands out from white ones."""
    zoom = math.ceil(LEAST_PIXELS / max(tiles.shape[1:3]))
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    draw_mosaic(axes, tiles, math.ceil(math.sqrt(len(tiles))), gap=max(1, tiles.shape[2] // 16), **how)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[], facecolor=GROUND)
    axes.spines[:].set_visible(False)
