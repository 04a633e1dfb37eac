"""Images and targets made of two examples each: mixup and CutMix."""

from typing import Annotated, ClassVar

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.ranges import AT_LEAST_0, UNIT

QUANTILES = 4096


class Mixup:
    """Blends images and targets: λ of the image's own, 1 - λ of its partner's (Zhang et al. 2017, "mixup").

    The partner of the image at position i of the batch is its neighbour at i XOR 1: the order is random already, and
    neighbours share a replica. λ is drawn for each image anew.

    Args:
        alpha: of the Beta(α, α) distribution of λ; 0 mixes nothing, 1 draws λ uniformly.
        probability: of an image to be mixed.
    """

    strength: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Annotated[float, AT_LEAST_0] = 0.2, probability: Annotated[float, UNIT] = 1.0):
        self._quantiles = _beta_quantiles(alpha)
        self._probability = probability

    def mix(self, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """uint8 (n, H, W, C) images and float32 (n, classes) targets in, the same out; n must be even."""
        own = _draw_share(stream, self._quantiles, self._probability)
        pixels = tf.cast(images, tf.float32)
        factors = own[:, tf.newaxis, tf.newaxis, tf.newaxis]
        mixed = tf.cast(tf.round(factors * pixels + (1 - factors) * _partners(pixels)), tf.uint8)
        return mixed, _blend(targets, own)


class CutMix:
    """Pastes a rectangle of the partner into the image; targets are mixed by area (Yun et al. 2019, "CutMix").

    The rectangle has the image's aspect ratio and 1 - λ of its area, λ drawn from Beta(α, α); its centre lies anywhere
    in the image, and what sticks out is lost. Partners as in `Mixup`.

    Args:
        alpha: of the Beta(α, α) distribution of λ; 0 mixes nothing, 1 draws λ uniformly.
        probability: of an image to be mixed.
    """

    strength: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, alpha: Annotated[float, AT_LEAST_0] = 1.0, probability: Annotated[float, UNIT] = 1.0):
        self._quantiles = _beta_quantiles(alpha)
        self._probability = probability

    def mix(self, images: tf.Tensor, targets: tf.Tensor, stream: RandomStream) -> tuple[tf.Tensor, tf.Tensor]:
        """uint8 (n, H, W, C) images and float32 (n, classes) targets in, the same out; n must be even."""
        half = tf.sqrt(1 - _draw_share(stream, self._quantiles, self._probability)) / 2
        rows = _around(stream, half, images.shape[1])
        columns = _around(stream, half, images.shape[2])
        pasted = rows[:, :, tf.newaxis] & columns[:, tf.newaxis]
        # bfloat16 holds 0 to 255 exactly; unlike uint8 it can be selected on a GPU without XLA.
        pixels = tf.cast(images, tf.bfloat16)
        mixed = tf.cast(tf.where(pasted[..., tf.newaxis], _partners(pixels), pixels), tf.uint8)
        return mixed, _blend(targets, 1 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=[1, 2]))


def _beta_quantiles(alpha: float) -> np.ndarray:
    """Equally likely values of a variable of the distribution Beta(α, α).

    A look-up gives the same value on any device and for any number of replicas, which rejection sampling does not.
    """
    from scipy.stats import beta

    probabilities = (np.arange(QUANTILES) + 0.5) / QUANTILES
    return (beta.ppf(probabilities, alpha, alpha) if alpha else np.ones(QUANTILES)).astype(np.float32)


def _draw_share(stream: RandomStream, quantiles: np.ndarray, probability: float) -> tf.Tensor:
    """What stays of each image, float32 (n,): λ, or 1 where the image is not mixed."""
    share = tf.gather(quantiles, stream.uniform(minval=0, maxval=QUANTILES, dtype=tf.int32))
    return tf.where(stream.uniform() < probability, share, 1.0)


def _around(stream: RandomStream, half: tf.Tensor, side: int) -> tf.Tensor:
    """bool (n, side): the pixels up to `half` (n,) of the side away from a random one, boundaries rounded down."""
    centre = stream.uniform(minval=0, maxval=side, dtype=tf.int32)
    reach = tf.cast(half * side, tf.int32)
    places = tf.range(side)
    return (places >= (centre - reach)[:, tf.newaxis]) & (places < (centre + reach)[:, tf.newaxis])


def _partners(values: tf.Tensor) -> tf.Tensor:
    """What stands at position i XOR 1."""
    count, *shape = values.shape
    return tf.reshape(tf.reverse(tf.reshape(values, (count // 2, 2, *shape)), [1]), values.shape)


def _blend(targets: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    return own[:, tf.newaxis] * targets + (1 - own[:, tf.newaxis]) * _partners(targets)
