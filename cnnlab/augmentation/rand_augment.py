"""RandAugment, every image by operations of its own, without computing each operation for every image."""

import math
from typing import Annotated, ClassVar

import tensorflow as tf

from cnnlab.augmentation.color import LUMA, luma, mix_channels, to_uint8
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.warp import Fill, affine, compose, rotation, warp
from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1

MAX_MAGNITUDE = 10
MAX_ROTATION = math.radians(30)
MAX_SHEAR = 0.3
MAX_TRANSLATION = 0.45  # of the side
MAX_ENHANCEMENT = 0.9
MAX_POSTERIZATION = 4  # bits lost of eight

LOOK_UPS = ("autocontrast", "equalize", "solarize", "posterize")
ENHANCEMENTS = ("color", "contrast", "brightness", "sharpness")
MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = ("identity", *LOOK_UPS, *ENHANCEMENTS, *MOVES)


class RandAugment:
    """Applies operations drawn from fourteen, all at one magnitude (Cubuk et al. 2019, "RandAugment", section 3).

    The operations are those of the paper, with Pillow's arithmetic for colours. What makes a batch cheap:

    - operations that map values to values are one look-up in a table of the image's own; those that exaggerate a
      difference (of colour, contrast, brightness, sharpness) are one weighted sum;
    - the moves of all layers become one warp, after all changes of colour, about the image's centre and bilinear.

    Args:
        num_layers: N, operations per image, drawn with replacement.
        magnitude: M, from 0 to 10, the strength of all operations that have one: rotations up to 30 degrees, shears to
            0.3, translations to 0.45 of the side, enhancements by 1 ± 0.9, solarized from 256 down to 0 on, up to four
            bits posterized.
        fill: what moves make visible from outside, see `warp`.
    """

    strength: ClassVar[tuple[str, ...]] = ("magnitude",)

    def __init__(
        self,
        num_layers: Annotated[int, AT_LEAST_1] = 2,
        magnitude: Annotated[float, AT_LEAST_0] = 9,
        fill: Fill = "zero",
    ):
        if magnitude > MAX_MAGNITUDE:
            raise ValueError(f"magnitude={magnitude}: must be at most {MAX_MAGNITUDE}")
        self._num_layers = num_layers
        self._level = magnitude / MAX_MAGNITUDE
        self._fill = fill

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        moves = []
        for _ in range(self._num_layers):
            chosen = stream.uniform(minval=0, maxval=len(OPERATIONS), dtype=tf.int32)
            signed = self._level * tf.where(stream.uniform() < 0.5, -1.0, 1.0)
            images = _look_up(images, _tables(images, chosen, self._level))
            images = _enhance(images, chosen, 1 + MAX_ENHANCEMENT * signed)
            moves.append(_moves(chosen, signed, images.shape[1], images.shape[2]))
        return warp(images, compose(*moves), "bilinear", self._fill)


def _is(chosen: tf.Tensor, operation: str) -> tf.Tensor:
    return tf.equal(chosen, OPERATIONS.index(operation))


def _tables(images: tf.Tensor, chosen: tf.Tensor, level: float) -> tf.Tensor:
    """What becomes of the values 0 … 255 in each channel of each image: int64 (n, C, 256).

    Not int32, which TensorFlow adds and compares on the host, where there is a GPU and XLA does not compile the step.
    """
    values = tf.range(256, dtype=tf.int64)
    threshold = round(256 * (1 - level))
    lost = round(MAX_POSTERIZATION * level)
    tables = {
        "autocontrast": _stretched(images),
        "equalize": _equalized(images),
        "solarize": tf.where(values < threshold, values, 255 - values),
        "posterize": values // 2**lost * 2**lost,
    }
    table = values[tf.newaxis, tf.newaxis]
    for operation, candidate in tables.items():
        table = tf.where(_is(chosen, operation)[:, tf.newaxis, tf.newaxis], candidate, table)
    return tf.broadcast_to(table, (images.shape[0], images.shape[3], 256))


def _stretched(images: tf.Tensor) -> tf.Tensor:
    """Tables that map each channel's darkest value to 0 and its brightest to 255."""
    numbers = tf.cast(images, tf.float32)
    darkest = tf.cast(tf.reduce_min(numbers, axis=[1, 2]), tf.int64)[..., tf.newaxis]
    brightest = tf.cast(tf.reduce_max(numbers, axis=[1, 2]), tf.int64)[..., tf.newaxis]
    values = tf.range(256, dtype=tf.int64)
    stretched = tf.clip_by_value((values - darkest) * 255 // tf.maximum(brightest - darkest, 1), 0, 255)
    return tf.where(brightest > darkest, stretched, values)


def _equalized(images: tf.Tensor) -> tf.Tensor:
    """Tables that spread each channel's values evenly over 0 … 255, as far as its histogram allows."""
    count, height, width, channels = images.shape
    numbers = tf.reshape(images, (count, height * width, channels))
    # Not tf.math.bincount, whose number of bins depends on the values, which XLA does not compile.
    counts = [
        tf.raw_ops.DenseBincount(input=tf.cast(column, tf.int32), size=256, weights=tf.zeros(0, tf.int32))
        for column in tf.unstack(numbers, channels, axis=-1)
    ]
    histogram = tf.stack([tf.cast(each, tf.int64) for each in counts], axis=1)
    values = tf.range(256, dtype=tf.int64)
    last = tf.reduce_max(tf.where(histogram > 0, values, 0), axis=-1, keepdims=True)
    step = (height * width - tf.gather(histogram, last, batch_dims=2)) // 255
    below = tf.cumsum(histogram, axis=-1, exclusive=True)
    spread = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, spread, values)


def _positions(images: tf.Tensor) -> tf.Tensor:
    """Where each value of uint8 (n, H, W, C) stands in flattened tables (n, C, 256): int64 (n, H, W, C)."""
    count, _, _, channels = images.shape
    firsts = 256 * tf.reshape(tf.range(count * channels, dtype=tf.int64), (count, 1, 1, channels))
    return firsts + tf.cast(images, tf.int64)


def _look_up(images: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.gather(tf.reshape(tables, [-1]), _positions(images)), tf.uint8)


def _enhance(images: tf.Tensor, chosen: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiply the images' differences from a poorer version of them, which depends on the operation, by factors.

    The result is the image times the factor, and the poorer version (grey, mean grey, black, smooth) times what is
    left to 1. All but the smooth one are linear in a pixel's channels.
    """
    pixels = tf.cast(images, tf.float32)
    left = {operation: tf.where(_is(chosen, operation), 1 - factors, 0.0) for operation in ENHANCEMENTS}
    kept = 1 - tf.add_n(list(left.values()))
    channels = images.shape[-1]
    to_grey = tf.tile(LUMA[tf.newaxis] if channels == 3 else [[1.0]], [channels, 1])
    matrices = _per_image(kept, 2) * tf.eye(channels) + _per_image(left["color"], 2) * to_grey
    mean_grey = tf.round(tf.reduce_mean(luma(pixels), axis=[1, 2, 3]))
    enhanced = mix_channels(pixels, matrices) + _per_image(left["contrast"] * mean_grey, 3)
    return to_uint8(enhanced + _per_image(left["sharpness"], 3) * _smooth(pixels))


def _per_image(values: tf.Tensor, dimensions: int) -> tf.Tensor:
    """(n,) values with that many more dimensions of one."""
    return tf.reshape(values, (-1, *[1] * dimensions))


def _smooth(pixels: tf.Tensor) -> tf.Tensor:
    """Averages over 3 × 3 pixels, the centre weighing five times as much; the border stays."""
    _, height, width, _ = pixels.shape
    sums = 9 * tf.nn.avg_pool2d(pixels, 3, strides=1, padding="SAME")
    is_inner = tf.pad(tf.ones((max(height - 2, 0), max(width - 2, 0)), tf.bool), [[1, 1], [1, 1]])[..., tf.newaxis]
    return tf.where(is_inner, tf.round((sums + 4 * pixels) / 13), pixels)


def _moves(chosen: tf.Tensor, signed: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The matrices (n, 3, 3) of the moves among the operations; of the others, those that leave all in place."""

    def amount(operation: str, largest: float) -> tf.Tensor:
        return tf.where(_is(chosen, operation), largest * signed, 0.0)

    sheared_and_shifted = affine(
        [
            *(1, amount("shear_y", MAX_SHEAR), amount("translate_y", MAX_TRANSLATION * height)),
            *(amount("shear_x", MAX_SHEAR), 1, amount("translate_x", MAX_TRANSLATION * width)),
        ]
    )
    return compose(rotation(amount("rotate", MAX_ROTATION)), sheared_and_shifted)
