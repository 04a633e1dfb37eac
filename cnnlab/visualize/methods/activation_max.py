"""`method=activation_max`: the patterns that excite filters most."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, SEED, not_empty
from cnnlab.data.sample import sample
from cnnlab.errors import UserError
from cnnlab.models.graph import linear, run_graph, walk
from cnnlab.reporting.figure import new_figure, save_figure
from cnnlab.visualize.attribution.maps import in_batches
from cnnlab.visualize.attribution.scores import channel_means
from cnnlab.visualize.drawing.mosaic import draw_mosaic
from cnnlab.visualize.feature_visualization.ascent import Ascent, Score, ascend, patterns_per_chunk, starting_noise
from cnnlab.visualize.feature_visualization.dead import constant, labels, note, unexcited
from cnnlab.visualize.layers import (
    activated,
    choose_filters,
    choose_layers,
    file_stem,
    layer_outputs,
    operations,
    some_convolutions,
)
from cnnlab.visualize.subject import Subject, load_subject

log = logging.getLogger(__name__)

COLUMNS = 12
FRAME = 0.75
"""Brightness of the line around a pattern."""

LEAK = 0.01
"""Share of what is negative before the activation function, see `_leaky`."""

EPSILON = 1e-6

PERCENTILE = 99.9
"""Of a filter's mean activations over the dataset, which its pattern should exceed."""

HARDLY = 1e-4
"""A filter of a ReLU whose usual activation is no more than this share of its layer's largest counts as dead."""


@dataclass(frozen=True)
class Maximised:
    """The patterns of one layer.

    Attributes:
        filters: indices of the filters.
        patterns: float32 (n, H, W, C), 0 to 255.
        activations: float32 (n,) mean activation that each has reached.
        usual: float32 (n,) percentile of the mean activations over images of the dataset; NaN without these.
        dead: bool (n,) whether the filter ends in a ReLU and hardly one of a thousand images excites it at all, see
            `HARDLY`, or is the same everywhere.
        count: how many filters the layer has.
        compared: how many images of the dataset were looked at.
    """

    filters: Sequence[int]
    patterns: np.ndarray
    activations: np.ndarray
    usual: np.ndarray
    dead: np.ndarray
    count: int
    compared: int


def draw_activation_max(
    config: DictConfig,
    folder: Path,
    *,
    ascent: Ascent,
    layers: Annotated[list[str], not_empty] | None = None,
    filters: Annotated[int, AT_LEAST_1] | list[list[int]] | None = None,
    compare_with: Annotated[int, AT_LEAST_0] = 2000,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw what excites filters most, a figure LAYER.png each.

    After Erhan et al., "Visualizing higher-layer features of a deep network" (2009), section 4. Writes filters.csv
    (layer, filter, activation: the mean over the channel that the pattern reaches; dataset: the 99.9th percentile of
    the same over training images; dead: whether that is next to nothing, or the channel the same everywhere; both
    empty without these) and activation_max.npz: float32 (n, H, W, C) patterns by layer, from 0 to 255.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        ascent: how patterns ascend.
        layers: names, also of dense layers; None for up to 12 convolutions, from the first to the last.
        filters: the first so many of each layer, or the indices for each layer; None for all.
        compare_with: how many training images, if there are so many, the activations are compared with; 0 for none.
            Where the dataset cannot be read, there is a warning and no comparison.
        seed: of the patterns' noise, the jitter, and the draw of images.

    Raises:
        UserError: there is no such layer or filter.
    """
    subject = load_subject(config)
    network = subject.network
    chosen = choose_layers(network, layers or some_convolutions(network))
    picked = choose_filters(filters, {name: layer.output.shape[-1] for name, layer in chosen.items()})
    images = _training_images(subject, compare_with, seed)
    rows: list[tuple[Any, ...]] = []
    arrays: dict[str, Any] = {}
    for name, indices in picked.items():
        found = _maximise(subject, name, indices, ascent, images, seed)
        _draw(found, subject, name, folder / f"{file_stem(name)}.png", seed)
        arrays[name] = found.patterns
        for entry in zip(indices, found.activations, found.usual, found.dead, strict=True):
            rows.append((name, *entry))
    table = pd.DataFrame(rows, columns=["layer", "filter", "activation", "dataset", "dead"])
    if images is None:
        table["dead"] = pd.NA
    table.to_csv(folder / "filters.csv", index=False, float_format="%.6g")
    np.savez_compressed(folder / "activation_max.npz", **arrays)


def _training_images(subject: Subject, count: int, seed: int) -> np.ndarray | None:
    """uint8 (n, H, W, C); None where none are wanted, or the dataset is out of reach."""
    if not count:
        return None
    try:
        return sample(subject.dataset.splits["train"], count, seed).images
    except UserError as error:
        log.warning("patterns are not compared with training images: %s", error)
        return None


def filter_score(network: keras.Model, name: str, *, leaky: bool = False) -> Score:
    """The mean activation of one filter of a layer per image, for images of which each has a filter of its own.

    The network is evaluated up to the layer, of one that is used several times up to the last, as in `layer_outputs`.

    Args:
        network: from pixels to logits.
        name: of a layer; its activation may be a layer of its own.
        leaky: whether to reward what comes near to exciting the filter, see `_leaky`: where a ReLU is
            dead, the mean has no gradient.
    """
    target = operations(network)[activated(network, name)]
    uses = 0

    def count(node: Any, *_: Any) -> list[Any]:
        nonlocal uses
        uses += node.operation is target
        return node.outputs

    walk(network, network.inputs, count)

    def score(images: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
        left = uses

        def visit(operation: keras.Operation, _: tf.Tensor, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
            nonlocal left
            left -= operation is target
            if operation is not target or left:
                return compute()
            with linear(operation) as activation:
                before = compute()
            means = channel_means(activation(before), filters)
            raise _Reached(_leaky(before, means, filters) if leaky else means)

        try:
            run_graph(network, images, visit)
        except _Reached as reached:
            return reached.scores

    return score


def _leaky(before: tf.Tensor, means: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    """Scores (n,) that revive a dead filter, from the channels (n, …, C) before the activation function.

    An excited filter scores its mean activation and a small share of what is below zero. A dead one scores what is
    below zero at the places that come nearest to exciting it; the mean over all places would not do, since a
    convolution adds up what is the same everywhere, and makes a flat picture.
    """
    places = tf.reshape(tf.gather(before, filters, axis=-1, batch_dims=1), (tf.shape(before)[0], -1))
    fixed = tf.stop_gradient(places)
    excited = tf.reduce_max(fixed, axis=1) > 0
    deviations = tf.maximum(tf.math.reduce_std(fixed, axis=1, keepdims=True), EPSILON)
    leak = LEAK / tf.cast(tf.shape(fixed)[1], tf.float32) * tf.cast(fixed < 0, tf.float32)
    weights = tf.where(excited[:, tf.newaxis], leak, tf.nn.softmax(fixed / deviations))
    return tf.where(excited, means, 0.0) + tf.reduce_sum(weights * places, axis=1)


class _Reached(Exception):
    """Ends the walk through a network at the layer of interest."""

    def __init__(self, scores: tf.Tensor):
        super().__init__()
        self.scores = scores


def _maximise(
    subject: Subject, name: str, filters: Sequence[int], ascent: Ascent, images: np.ndarray | None, seed: int
) -> Maximised:
    noise = starting_noise(seed, name, filters, subject.image_shape)
    score, chunk = filter_score(subject.network, name, leaky=True), patterns_per_chunk(subject.network, ascent)
    patterns = ascend(score, filters, noise, ascent, seed=seed, chunk=chunk, what=f"{name}: ascending")
    means, *_ = maps_statistics(subject.network, name, patterns)
    activations, count = np.diagonal(means[:, filters]), means.shape[1]
    if images is None:
        nothing = np.full(len(filters), np.nan)
        return Maximised(filters, patterns, activations, nothing, np.zeros(len(filters), bool), count, 0)
    means, lowest, highest = maps_statistics(subject.network, name, images)
    percentiles = np.percentile(means, PERCENTILE, axis=0, method="lower")
    dead = dead_filters(percentiles, lowest, highest)
    return Maximised(filters, patterns, activations, percentiles[filters], dead[filters], count, len(images))


def dead_filters(percentiles: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Whether filters are dead, bool (filters,); see `Maximised.dead` and `maps_statistics`."""
    flat = constant(lowest.min(axis=0), highest.max(axis=0), values=len(lowest))
    return unexcited(percentiles, lowest.min(axis=0), HARDLY) | flat


def maps_statistics(network: keras.Model, name: str, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The activations of all filters of a layer for each image.

    Args:
        network: from pixels to logits.
        name: of a layer; its activation may be a layer of its own.
        images: uint8 or float (n, H, W, C), 0 to 255.

    Returns:
        Float32 (n, filters) each: the mean, the least and the largest over the map.
    """
    target = activated(network, name)
    outputs = layer_outputs(network, [target])

    def statistics(pixels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        maps = outputs(pixels)[0][target]
        axes = list(range(1, len(maps.shape) - 1))
        return tuple(reduce(maps, axes) for reduce in (tf.reduce_mean, tf.reduce_min, tf.reduce_max))

    return in_batches(statistics, images.shape[1:], what=f"{name}: activations")(images)


def _draw(found: Maximised, subject: Subject, name: str, path: Path, seed: int) -> None:
    title = f"{subject.title} · {name}: what excites {len(found.filters)} of {found.count} filters most"
    title += note(found.filters, found.dead, f"{found.compared:,} training images")
    columns = min(COLUMNS, len(found.filters))
    rows = math.ceil(len(found.filters) / columns)
    figure = new_figure(max(5.0, 0.8 * columns), 0.7 + 0.8 * rows, title)
    frame = [(0, 0), (1, 1), (1, 1), (0, 0)]  # without which a white pattern is not seen on the page
    tiles = np.pad(found.patterns / 255, frame, constant_values=FRAME)
    gap = max(1, round(0.2 * tiles.shape[1]))
    axes = figure.subplots()
    axes.set_anchor("N")
    draw_mosaic(
        axes,
        tiles[..., 0] if tiles.shape[-1] == 1 else tiles,
        columns,
        labels=labels(found.filters, found.dead),
        gap=gap,
        cmap="gray",
        vmin=0,
        vmax=1,
    )
    save_figure(figure, path, subject.metadata(title, seed))
