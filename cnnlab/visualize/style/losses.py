"""How far an image is from the content of one image and the style of another (Gatys, Ecker & Bethge 2016)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

TERMS = ("content", "style", "total_variation")

Losses = Callable[[tf.Tensor], tf.Tensor]
"""Image float32 (1, H, W, 3) from 0 to 255 -> float32 (3,): the weighted `TERMS`, whose sum is to fall."""


@dataclass(frozen=True)
class LossWeights:
    """What the image is to keep of each of the two others.

    Attributes:
        content_layers: whose feature maps are to be those of the content image.
        style_layers: whose Gram matrices are to be those of the style image, each with its share of the style loss.
        content_weight, style_weight, total_variation_weight: of the three terms.
    """

    content_layers: Sequence[str]
    style_layers: Mapping[str, float]
    content_weight: float
    style_weight: float
    total_variation_weight: float


def gram_matrices(maps: tf.Tensor) -> tf.Tensor:
    """Which channels respond together: their inner products, per position.

    Args:
        maps: float (n, h, w, C).

    Returns:
        Float (n, C, C): section 2.2's G divided by the number of positions M = h · w, so that images of different
        sizes can be compared.
    """
    shape = tf.shape(maps)
    vectors = tf.reshape(maps, (shape[0], shape[1] * shape[2], maps.shape[-1]))
    return tf.matmul(vectors, vectors, transpose_a=True) / tf.cast(shape[1] * shape[2], maps.dtype)


def build_losses(features: keras.Model, content: tf.Tensor, style: tf.Tensor, weights: LossWeights) -> Losses:
    """The loss of section 2.3, with every layer's difference relative to what it aims at.

    The squared difference of feature maps, or of Gram matrices, is divided by the square of those aimed at. That is the
    paper's loss of a layer up to a constant factor, but the same weights suit all networks, layers and sizes: an image
    without any content, or style, has a loss of 1. (The paper's authors rescaled the weights of VGG19 instead.)

    Args:
        features: from images to the feature maps of the losses' layers, by name.
        content: float32 (1, H, W, 3) from 0 to 255.
        style: float32 (1, h, w, 3) from 0 to 255.

    Returns:
        See `Losses`; the targets are computed once, here.
    """
    maps = features(content)
    contents = {name: maps[name] for name in weights.content_layers}
    maps = features(style)
    styles = {name: gram_matrices(maps[name]) for name in weights.style_layers}

    def losses(image: tf.Tensor) -> tf.Tensor:
        maps = features(image)
        content_losses = [relative_difference(maps[name], target) for name, target in contents.items()]
        style_losses = [
            share * relative_difference(gram_matrices(maps[name]), styles[name])
            for name, share in weights.style_layers.items()
        ]
        return tf.stack(
            [
                weights.content_weight * _sum(content_losses) / max(1, len(content_losses)),
                weights.style_weight * _sum(style_losses),
                weights.total_variation_weight * total_variation(image),
            ]
        )

    return losses


def _sum(losses: Sequence[tf.Tensor]) -> tf.Tensor:
    """0 of no layers, such as for a texture without content."""
    return tf.add_n(losses) if losses else tf.zeros(())


def relative_difference(values: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean squared difference, as a share of the target's mean square; 0 where the target is nothing but zeros."""
    return tf.math.divide_no_nan(tf.reduce_mean((values - target) ** 2), tf.reduce_mean(target**2))


def total_variation(image: tf.Tensor) -> tf.Tensor:
    """How much neighbouring pixels differ, absolutely, on average over an image (1, H, W, C): 0 to 2 of its range."""
    return tf.image.total_variation(image)[0] / (255 * tf.cast(tf.size(image), image.dtype))
