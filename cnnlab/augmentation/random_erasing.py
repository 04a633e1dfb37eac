"""Rectangles of noise, after Zhong et al."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.ranges import UNIT


class RandomErasing:
    """Overwrites a rectangle of some images (Zhong et al. 2017, "Random Erasing Data Augmentation", algorithm 1).

    The paper draws anew until the rectangle fits into the image; here its sides are cut off at the image's.

    Args:
        probability: of an image to lose a rectangle.
        area: (smallest, largest) share of the image's area.
        aspect_ratio: (smallest, largest) height over width.
        fill: `random` a value of its own for each pixel and channel, `zero` black, `mean` the image's mean colour.

    Raises:
        ValueError: area or aspect_ratio is no interval of possible values.
    """

    strength: ClassVar[tuple[str, ...]] = ("probability",)

    def __init__(
        self,
        probability: Annotated[float, UNIT] = 0.5,
        area: Sequence[float] = (0.02, 0.4),
        aspect_ratio: Sequence[float] = (0.3, 3.3),
        fill: Literal["random", "zero", "mean"] = "random",
    ):
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise ValueError(f"area={list(area)}: must be [smallest, largest], above 0 and up to 1")
        if len(aspect_ratio) != 2 or not 0 < aspect_ratio[0] <= aspect_ratio[1]:
            raise ValueError(f"aspect_ratio={list(aspect_ratio)}: must be [smallest, largest], above 0")
        self._probability = probability
        self._area = area
        self._aspect_ratio = aspect_ratio
        self._fill = fill

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        _, height, width, _ = images.shape
        erased = stream.uniform() < self._probability
        area = stream.uniform(minval=self._area[0], maxval=self._area[1]) * (height * width)
        ratio = stream.uniform(minval=self._aspect_ratio[0], maxval=self._aspect_ratio[1])
        rows = _between(stream, tf.sqrt(area * ratio), height)
        columns = _between(stream, tf.sqrt(area / ratio), width)
        inside = (rows[:, :, tf.newaxis] & columns[:, tf.newaxis] & erased[:, tf.newaxis, tf.newaxis])[..., tf.newaxis]
        pixels = tf.cast(images, tf.float32)
        return tf.cast(tf.where(inside, self._filling(pixels, stream), pixels), tf.uint8)

    def _filling(self, pixels: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        match self._fill:
            case "random":
                return tf.cast(stream.uniform(pixels.shape[1:], 0, 256, tf.int32), tf.float32)
            case "mean":
                return tf.round(tf.reduce_mean(pixels, axis=[1, 2], keepdims=True))
            case "zero":
                return tf.zeros_like(pixels[:, :1, :1])


def _between(stream: RandomStream, length: tf.Tensor, side: int) -> tf.Tensor:
    """bool (n, side): an interval of `length` (n,), rounded to 1 … side, wherever it fits."""
    length = tf.clip_by_value(tf.round(length), 1, side)
    start = tf.floor(stream.uniform() * (side - length + 1))[:, tf.newaxis]
    places = tf.range(side, dtype=tf.float32)
    return (places >= start) & (places < start + length[:, tf.newaxis])
