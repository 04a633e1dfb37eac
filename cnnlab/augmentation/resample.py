"""Windows of images at another size, as two products of matrices: on any device, and compiled by XLA."""

import tensorflow as tf


def resample(images: tf.Tensor, windows: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Show a window of each image at one size: shrunk to the mean of the area that a pixel covers, enlarged by bilinear
    interpolation.

    Args:
        images: uint8 (n, H, W, C).
        windows: float32 (n, 4), top, left, height and width in pixels; they lie within the images.
        height, width: of the result.

    Returns:
        uint8 (n, height, width, C), rounded to the nearest.
    """
    rows = _weights(windows[:, 0], windows[:, 2], height, images.shape[1])
    columns = _weights(windows[:, 1], windows[:, 3], width, images.shape[2])
    halfway = tf.einsum("nhi,niwc->nhwc", rows, tf.cast(images, tf.float32))
    pixels = tf.einsum("nwi,nhic->nhwc", columns, halfway)
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)


def _weights(start: tf.Tensor, length: tf.Tensor, count: int, side: int) -> tf.Tensor:
    """The share of each of `side` pixels in each of the `count` ones that a window shows: float32 (n, count, side)."""
    step = (length / count)[:, tf.newaxis, tf.newaxis]
    first = start[:, tf.newaxis, tf.newaxis] + tf.range(count, dtype=tf.float32)[:, tf.newaxis] * step
    places = tf.range(side, dtype=tf.float32)
    covered = tf.maximum(tf.minimum(first + step, places + 1) - tf.maximum(first, places), 0) / step
    centre = tf.clip_by_value(first + (step - 1) / 2, 0, side - 1)
    between = tf.maximum(1 - tf.abs(centre - places), 0)
    return tf.where(step > 1, covered, between)
