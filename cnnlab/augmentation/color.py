"""Random changes of colour that are affine in a pixel's channels: one small matrix and one offset per image."""

import math
from typing import Annotated, ClassVar

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.ranges import AT_LEAST_0, UNIT

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601's weights of red, green and blue
TO_YIQ = np.stack([LUMA, np.array([0.596, -0.274, -0.322], np.float32), np.array([0.211, -0.523, 0.312], np.float32)])


class ColorJitter:
    """Changes brightness, contrast, saturation and hue, in this order, cut off at 0 and 255 once, at the end.

    Args:
        brightness: b; every value is multiplied by a factor from 1 - b … 1 + b.
        contrast: c; distances to the image's mean grey are multiplied by a factor from 1 - c … 1 + c.
        saturation: s; distances to the pixel's grey are multiplied by a factor from 1 - s … 1 + s. Grey images stay.
        hue: h; colours turn by a share from -h … h of the full circle in the plane of equal luma (YIQ), up to 0.5.
            Grey images stay.
    """

    strength: ClassVar[tuple[str, ...]] = ("brightness", "contrast", "saturation", "hue")

    def __init__(
        self,
        brightness: Annotated[float, UNIT] = 0.2,
        contrast: Annotated[float, UNIT] = 0.2,
        saturation: Annotated[float, UNIT] = 0.2,
        hue: Annotated[float, AT_LEAST_0] = 0.05,
    ):
        if hue > 0.5:
            raise ValueError(f"hue={hue}: must be at most 0.5, half of the circle either way")
        self._brightness = brightness
        self._contrast = contrast
        self._saturation = saturation
        self._hue = hue

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out; C is 1 or 3."""
        brightness = stream.uniform(minval=1 - self._brightness, maxval=1 + self._brightness)
        contrast = stream.uniform(minval=1 - self._contrast, maxval=1 + self._contrast)
        saturation = stream.uniform(minval=1 - self._saturation, maxval=1 + self._saturation)
        turn = stream.uniform(minval=-self._hue, maxval=self._hue)
        scale = (brightness * contrast)[:, tf.newaxis, tf.newaxis]
        matrices = scale if images.shape[-1] == 1 else scale * _chroma(saturation, 2 * math.pi * turn)
        pixels = tf.cast(images, tf.float32)
        offsets = (1 - contrast) * brightness * tf.reduce_mean(luma(pixels), axis=[1, 2, 3])
        return apply_color(pixels, matrices, offsets[:, tf.newaxis])


def luma(pixels: tf.Tensor) -> tf.Tensor:
    """The grey of float32 (n, H, W, C) pixels: (n, H, W, 1)."""
    if pixels.shape[-1] == 1:
        return pixels
    return tf.reduce_sum(pixels * LUMA, axis=-1, keepdims=True)


def apply_color(pixels: tf.Tensor, matrices: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Map every pixel of an image by the image's matrix, and add its offset.

    Args:
        pixels: float32 (n, H, W, C), 0 … 255.
        matrices: float32 (n, C, C), from the old channels (columns) to the new (rows).
        offsets: float32 (n, C) or (n, 1).

    Returns:
        uint8 (n, H, W, C), rounded to the nearest and cut off at 0 and 255.
    """
    return to_uint8(mix_channels(pixels, matrices) + offsets[:, tf.newaxis, tf.newaxis])


def mix_channels(pixels: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Map every pixel of float32 (n, H, W, C) by its image's matrix (C, C), from old channels to new."""
    count, height, width, channels = pixels.shape
    flat = tf.reshape(pixels, (count, height * width, channels))
    return tf.reshape(tf.matmul(flat, matrices, transpose_b=True), pixels.shape)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Round to the nearest whole number and cut off at 0 and 255."""
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def _chroma(saturation: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Matrices (n, 3, 3) that keep the luma, and stretch and turn what is left by factors and angles (n,).

    What is left of a colour without its luma is a plane; its I and Q axes are those of YIQ.
    """
    (y, i, q), (from_y, from_i, from_q) = TO_YIQ, np.linalg.inv(TO_YIQ).T
    cosine, sine = saturation * tf.cos(angle), saturation * tf.sin(angle)
    parts = [  # of the result, and what they are multiplied by
        (tf.ones_like(angle), np.outer(from_y, y)),
        (cosine, np.outer(from_i, i) + np.outer(from_q, q)),
        (sine, np.outer(from_q, i) - np.outer(from_i, q)),
    ]
    return tf.add_n([factor[:, tf.newaxis, tf.newaxis] * matrix for factor, matrix in parts])
