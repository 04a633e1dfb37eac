"""`method=sanity`: whether attribution maps have to do with what the network has learnt."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from random import randrange
from typing import Annotated, Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from omegaconf import DictConfig
from scipy.stats import spearmanr

from cnnlab.config.ranges import AT_LEAST_1, SEED, UNIT, not_empty
from cnnlab.errors import UserError
from cnnlab.models.whitening import AdaptedLayer
from cnnlab.reporting.figure import COLORS, MUTED_COLOR, new_figure, save_figure, style_axes
from cnnlab.visualize.attribution.gradients import class_gradients, grad_cam, integrated_gradients, smoothgrad
from cnnlab.visualize.attribution.guided import guided_backprop, require_relu
from cnnlab.visualize.attribution.maps import Images, Target, Targets, choose_targets, in_batches
from cnnlab.visualize.images import SplitName
from cnnlab.visualize.layers import computing_layers, spatial_layer
from cnnlab.visualize.progress import track

log = logging.getLogger(__name__)

LINES = (("o", "-"), ("s", "--"), ("^", "-."), ("D", ":"), ("v", (0, (5, 1, 1, 1, 1, 1))))
"""Marker and dashes of each method, told apart without colours."""

Attribution = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Method = Literal["saliency", "smoothgrad", "integrated_gradients", "guided_backprop", "grad_cam"]
METHODS: tuple[Method, ...] = ("saliency", "smoothgrad", "integrated_gradients", "guided_backprop", "grad_cam")
STEPS = 25
"""Copies or steps of the methods that average: enough for ranks."""


def draw_sanity(
    config: DictConfig,
    folder: Path,
    *,
    methods: Annotated[Sequence[Method], not_empty] = METHODS,
    images: Images = 8,
    split: SplitName = "auto",
    target: Target = None,
    seeds: Annotated[int, AT_LEAST_1] = 3,
    threshold: Annotated[float, UNIT] = 0.5,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Compare attribution maps before and after a network's weights are made random, layer by layer from the top.

    Adebayo et al., "Sanity checks for saliency maps" (2018), section 3.1 (cascading randomisation). Writes
    sanity.csv (method; absolute and signed: mean Spearman correlation with the maps of the trained network when all
    layers are random; across_seeds: of the absolute maps of two random networks; flagged), correlations.csv (the
    same for every number of random layers and every seed) and sanity.png. A method is flagged where, with all layers
    random, either still correlates above the threshold.

    Args:
        config: `run`, or `weights` with `model` and `dataset`.
        folder: where to write.
        methods: which attribution methods.
        images, split: see `choose_images`.
        target: a class; None for the one the trained network predicts, "label" for the image's own.
        seeds: how often the weights are made random.
        threshold: of the correlation.
        seed: of the draw of images and of the first random weights.

    Raises:
        UserError: there is no such image or class, or no method can look into the network.
    """
    targets = choose_targets(config, images, split, target, seed)
    network = targets.subject.network
    evaluations = _evaluations(network, methods)
    layers = {name: layer for name, layer in reversed(computing_layers(network).items()) if _learnt(layer)}
    trained = {name: evaluate(targets.chosen.images, targets.classes) for name, evaluate in evaluations.items()}
    _tell_constant(trained)
    rows: list[tuple[Any, ...]] = []
    random: dict[Method, list[np.ndarray]] = {name: [] for name in evaluations}
    for number in range(seeds):
        cascade = enumerate(randomised(layers, seed + number), 1)
        for depth, layer in track(cascade, f"random weights {number + 1} of {seeds}", len(layers)):
            for name, evaluate in evaluations.items():
                maps = evaluate(targets.chosen.images, targets.classes)
                rows.append((name, number, depth, layer, *correlations(trained[name], maps)))
                if depth == len(layers):
                    random[name].append(maps)
    table = pd.DataFrame(rows, columns=["method", "seed", "randomised", "layer", "absolute", "signed"])
    summary = _summarise(table, random, threshold)
    table.to_csv(folder / "correlations.csv", index=False, float_format="%.4f")
    summary.to_csv(folder / "sanity.csv", index=False, float_format="%.4f")
    for name in summary.loc[summary.flagged, "method"]:
        log.warning("%s hardly changes when the network's weights are random: do not trust its maps", name)
    _draw(table, summary, targets, threshold, folder / "sanity.png", seed)


def randomised(layers: Mapping[str, keras.Layer], seed: int) -> Iterator[str]:
    """Give layers the weights of an untrained network, one layer after the other, and yield its name each time.

    At the end, or when the iteration is given up, all weights are what they were.

    Args:
        layers: by name, in the order of randomisation; each from its own initializers, but not from seeds of theirs.
        seed: of their random numbers.
    """
    keras.utils.set_random_seed(seed)
    learnt = [layer.get_weights() for layer in layers.values()]
    try:
        for name, layer in layers.items():
            layer.set_weights(_untrained(name, layer).get_weights())
            yield name
    finally:
        for layer, weights in zip(layers.values(), learnt, strict=True):
            layer.set_weights(weights)


def _untrained(name: str, layer: keras.Layer) -> keras.Layer:
    """A layer like this one with weights that it could have started with.

    Raises:
        UserError: it cannot be made, as of a layer of the user's own that does not tell its configuration.
    """
    shapes = [weight.shape for weight in layer.weights]
    try:
        twin = type(layer).from_config(_reseeded(layer.get_config()))
        with warnings.catch_warnings(action="ignore"):  # of Keras, where there is nothing that builds
            twin.build_from_config(layer.get_build_config())
        if [weight.shape for weight in twin.weights] != shapes:  # it makes its layers, or their weights, when called
            twin(keras.tree.map_structure(lambda given: keras.Input(given.shape[1:], dtype=given.dtype), layer.input))
    except Exception as error:
        raise UserError(f"{name}: cannot be made anew with random weights: {error}") from error
    if [weight.shape for weight in twin.weights] != shapes:
        raise UserError(f"{name}: cannot be made anew with random weights: its copy has others than it has")
    return twin


def _reseeded(config: Any) -> Any:
    """A layer's configuration with a new seed for each that is fixed: of one and the same, an initializer draws the
    weights that the training began with, and those of all layers of a shape alike.
    """
    if isinstance(config, list):
        return [_reseeded(item) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: randrange(2**31) if key == "seed" and isinstance(value, int) else _reseeded(value)
        for key, value in config.items()
    }


def correlations(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation of maps (n, H, W) with others, the mean over the images.

    Returns:
        Of the absolute values and of the values themselves, each from -1 to 1; 0 where a map is constant.
    """

    def mean(ours: np.ndarray, theirs: np.ndarray) -> float:
        constant = _constant(ours) | _constant(theirs)
        pairs = zip(ours, theirs, constant, strict=True)
        return float(np.mean([0.0 if flat else spearmanr(a, b, axis=None).statistic for a, b, flat in pairs]))

    return mean(np.abs(first), np.abs(second)), mean(first, second)


def _constant(maps: np.ndarray) -> np.ndarray:
    """Which of the maps (n, H, W) are the same everywhere, exactly, which a deviation does not tell: bool (n,)."""
    return np.ptp(maps, axis=(1, 2)) == 0


def _tell_constant(trained: Mapping[Method, np.ndarray]) -> None:
    """Say whose maps of the trained network say nothing that could be lost."""
    for name, maps in trained.items():
        if count := np.count_nonzero(_constant(maps)):
            log.warning(
                "%s: %d of %d maps of the trained network are the same everywhere: they can correlate with nothing, "
                "and count as 0",
                name, count, len(maps),
            )  # fmt: skip


def _learnt(layer: keras.Layer) -> bool:
    """Whether training, here or elsewhere, has given the layer its weights; frozen ones count."""
    return bool(layer.weights) and not isinstance(layer, AdaptedLayer)


def _evaluations(network: keras.Model, methods: Sequence[Method]) -> Mapping[Method, Callable[..., np.ndarray]]:
    """Of each method that can look into the network, a compiled function from images and classes to maps (n, H, W)."""
    known: dict[Method, Callable[[], Attribution]] = {
        "saliency": lambda: partial(class_gradients, network),
        "smoothgrad": lambda: partial(smoothgrad, network, noise=0.15, samples=STEPS, seed=0),
        "integrated_gradients": lambda: partial(integrated_gradients, network, baseline=0.0, steps=STEPS),
        "guided_backprop": lambda: _guided(network),
        "grad_cam": lambda: partial(grad_cam, network, layer=spatial_layer(network, None)),
    }
    found, refusals = {}, []
    for name in methods:
        try:
            compute = known[name]()
        except UserError as error:
            log.warning("%s is left out: %s", name, error)
            refusals.append(error)
        else:
            found[name] = in_batches(_summed(compute), network.input_shape[1:], 1, name)
    if not found:
        raise refusals[0]
    return found


def _guided(network: keras.Model) -> Attribution:
    require_relu(network)
    return partial(guided_backprop, network)


def _summed(compute: Attribution) -> Attribution:
    def maps(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        values = compute(images, classes)
        return tf.reduce_sum(values, axis=-1) if len(values.shape) == 4 else values

    return maps


def _summarise(table: pd.DataFrame, random: Mapping[Method, Sequence[np.ndarray]], threshold: float) -> pd.DataFrame:
    """A row per method: what is left of its maps when all is random, and how alike those of two random networks are."""
    last = table[table.randomised == table.randomised.max()]
    summary = last.groupby("method", sort=False)[["absolute", "signed"]].mean().reset_index()
    pairs = {name: list(combinations(maps, 2)) for name, maps in random.items()}
    summary["across_seeds"] = [
        float(np.mean([correlations(*pair)[0] for pair in pairs[name]])) if pairs[name] else np.nan
        for name in summary.method
    ]
    summary["flagged"] = summary[["absolute", "signed"]].max(axis=1) > threshold
    return summary


def _draw(
    table: pd.DataFrame, summary: pd.DataFrame, targets: Targets, threshold: float, path: Path, seed: int
) -> None:
    """How alike maps stay against how many layers are random, a line per method; a band over the seeds."""
    images, seeds = len(targets.chosen.images), table.seed.nunique()
    means = f"mean of {images} image{'s' * (images > 1)}, band over {seeds} seed{'s' * (seeds > 1)}"
    title = f"{targets.subject.title} · maps before and after layers lose what they learnt · {means}"
    layers = table.drop_duplicates("randomised").set_index("randomised").layer
    figure = new_figure(max(8.0, 2 * 3.2 + 0.24 * len(layers)), 4.8, title)
    flagged = dict(zip(summary.method, summary.flagged, strict=True))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, kind in zip(panels, ("absolute", "signed"), strict=True):
        style_axes(axes)
        for (name, rows), color, (marker, line) in zip(
            table.groupby("method", sort=False), COLORS, LINES, strict=False
        ):
            values = rows.pivot(index="randomised", columns="seed", values=kind)
            label = str(name).replace("_", " ") + (" (hardly changes)" if flagged[name] else "")
            values.loc[0] = 1.0
            values = values.sort_index()
            how = {"marker": marker, "markersize": 4, "linestyle": line, "color": color, "label": label}
            axes.plot(values.index, values.mean(axis=1), **how)
            axes.fill_between(values.index, values.min(axis=1), values.max(axis=1), color=color, alpha=0.15)
        axes.axhline(0, color=MUTED_COLOR, linewidth=0.8)
        above = f"above {threshold:g} at the right, in either panel: hardly changes"
        axes.axhline(threshold, color=MUTED_COLOR, linewidth=0.8, linestyle=(0, (6, 4)), label=above)
        axes.set_title(f"{kind} values", fontsize=9)
        axes.set_xticks(
            range(len(layers) + 1), ["none", *layers], rotation=60, ha="right", fontsize=7, parse_math=False
        )
        axes.set_xlabel("random from the top down to", fontsize=8)
    panels[0].set_ylabel("rank correlation with the trained network's map", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    save_figure(figure, path, targets.subject.metadata(title, seed))
