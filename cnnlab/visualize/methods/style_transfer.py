"""`method=style_transfer`: the content of one photograph in the style of another.

Gatys, Ecker & Bethge, "Image style transfer using convolutional neural networks" (2016).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, POSITIVE, SEED
from cnnlab.errors import UserError
from cnnlab.models.backbones import Backbone
from cnnlab.models.blocks import Pooling
from cnnlab.visualize.style.features import build_features, require_room
from cnnlab.visualize.style.figures import draw_progress, write_image, write_losses
from cnnlab.visualize.style.images import (
    fitted,
    luminance,
    match_colors,
    read_photograph,
    resized,
    with_luminance,
)
from cnnlab.visualize.style.losses import LossWeights, build_losses
from cnnlab.visualize.style.optimizers import Descended, Descent, Optimizer, descend

NOISE = 25.0
"""Standard deviation, in grey levels, of the noise about mid-grey that an image may start from."""

# Gatys et al. take the content from conv4_2, block4_conv2 here.
CONTENT_LAYERS = ("block5_conv2",)
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")


def draw_style_transfer(
    config: DictConfig,
    folder: Path,
    *,
    content: str | None = None,
    style: str | None = None,
    backbone: Backbone = "VGG19",
    weights: str | None = "imagenet",
    pooling: Pooling = "average",
    content_layers: Sequence[str] = CONTENT_LAYERS,
    style_layers: Sequence[str] = STYLE_LAYERS,
    style_layer_weights: list[Annotated[float, AT_LEAST_0]] | None = None,
    content_weight: Annotated[float, AT_LEAST_0] = 1.0,
    style_weight: Annotated[float, AT_LEAST_0] = 10.0,
    total_variation_weight: Annotated[float, AT_LEAST_0] = 5.0,
    preserve_colors: Literal["luminance", "histogram"] | None = None,
    initial: Literal["content", "noise"] = "content",
    size: Annotated[int, AT_LEAST_1] | None = 512,
    scales: Annotated[int, AT_LEAST_1] = 1,
    optimizer: Optimizer = "adam",
    iterations: Annotated[int, AT_LEAST_1] = 300,
    learning_rate: Annotated[float, POSITIVE] = 5.0,
    progress_every: Annotated[int, AT_LEAST_1] = 50,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Paint the content of an image in the style of another.

    Writes result.png, of the content image's size; progress.png, the images on the way there; the losses as
    loss.csv and loss.png; and images.npz with the images of progress.png.

    Args:
        config: not looked at; the method needs neither a run nor a dataset.
        folder: where to write.
        content, style: image files.
        backbone, weights, pooling: see `build_features`.
        content_layers to total_variation_weight: see `LossWeights`; style layers weigh the same where nobody says how.
        preserve_colors: luminance: brightness alone takes the style; histogram: the style image is recoloured first.
        initial, seed: what to start from, and the seed of the noise.
        size: longest side in pixels while the images change; the result is then resized. None: the content's own.
        scales: how many sizes, each half of the next, from the coarsest, whose result the next one starts from.
        optimizer to progress_every: see `Descent`; for each of the scales.

    Raises:
        UserError: an image cannot be read or is too small, there is no such layer, or the weights cannot be had.
    """
    content, photograph = _read(content, "method.content")
    style, example = _read(style, "method.style")
    shares = _shares(style_layers, style_layer_weights)
    loss_weights = LossWeights(content_layers, shares, content_weight, style_weight, total_variation_weight)
    descent = Descent(optimizer, iterations, learning_rate, progress_every)
    model = build_features(backbone, weights, content_layers=content_layers, style_layers=style_layers, pooling=pooling)
    longest = size or max(photograph.shape[:2])
    matched, painted = _recoloured(photograph, example, preserve_colors)
    start = None if initial == "content" else np.random.default_rng(seed)
    descents = transfer(model, matched, painted, loss_weights, descent, longest=longest, scales=scales, noise=start)
    title = f"{Path(content).name} in the style of {Path(style).name}"
    metadata = {"Title": title, "Model": f"{backbone}, weights {weights}", "Seed": str(seed)}
    draw_progress(photograph, example, descents, folder, metadata)
    write_losses(descents, folder, metadata)
    write_image(_result(photograph, descents[-1].result, preserve_colors), folder / "result.png", metadata)


def transfer(
    features: keras.Model,
    content: np.ndarray,
    style: np.ndarray,
    loss_weights: LossWeights,
    descent: Descent,
    *,
    longest: int,
    scales: int = 1,
    noise: np.random.Generator | None = None,
) -> list[Descended]:
    """Change an image until it has the content of one image and the style of another.

    Args:
        features: see `build_features`.
        content, style: float32 (H, W, 3) from 0 to 255, of any sizes.
        longest: side, in pixels, of both at the last scale.
        scales: see `draw_style_transfer`.
        noise: to start from; None to start from the content.

    Returns:
        A descent per scale.

    Raises:
        UserError: an image is too small for the layers.
    """
    descents: list[Descended] = []
    for scale in reversed(range(scales)):
        longer = max(1, round(longest / 2**scale))
        sizes = [fitted(height, width, longer) for height, width, _ in (content.shape, style.shape)]
        require_room(features, sizes[0], "method.content")
        require_room(features, sizes[1], "method.style")
        small, example = resized(content, sizes[0]), resized(style, sizes[1])
        if descents:
            start = resized(descents[-1].result, sizes[0])
        else:
            start = small if noise is None else _noise(sizes[0], noise)
        losses = build_losses(features, tf.constant(small[np.newaxis]), tf.constant(example[np.newaxis]), loss_weights)
        height, width = sizes[0]
        descents.append(descend(losses, start, descent, f"{width} × {height} pixels"))
    return descents


def _read(file: str | None, key: str) -> tuple[str, np.ndarray]:
    """A key's image file, and the photograph in it."""
    if file is None:
        raise UserError(f"{key}: has no value; give {key}=FILE, an image")
    return file, read_photograph(file, key)


def _shares(layers: Sequence[str], weights: Sequence[float] | None) -> dict[str, float]:
    """Each style layer's share of the style loss."""
    weights = [1.0] * len(layers) if weights is None else weights
    if len(weights) != len(layers):
        raise UserError(
            f"method.style_layer_weights={[*weights]}: {len(weights)} weights for {len(layers)} layers "
            f"({', '.join(layers)}); give one for each, or null"
        )
    total = sum(weights) or 1.0
    return {layer: weight / total for layer, weight in zip(layers, weights, strict=True)}


def _recoloured(content: np.ndarray, style: np.ndarray, preserve_colors: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The content and style images, with their colours as the transfer is to see them."""
    if preserve_colors == "luminance":
        content, style = luminance(content), luminance(style)
    return content, style if preserve_colors is None else match_colors(style, content)


def _result(content: np.ndarray, transferred: np.ndarray, preserve_colors: str | None) -> np.ndarray:
    """What was transferred, in the content's size and where wanted its colours."""
    result = resized(transferred, content.shape[:2])
    return with_luminance(content, result) if preserve_colors == "luminance" else result


def _noise(size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    return np.clip(generator.normal(127.5, NOISE, (*size, 3)), 0, 255).astype(np.float32)
