"""Affine maps of whole batches, each image by a matrix of its own, in one gather."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

Interpolation = Literal["nearest", "bilinear"]
Fill = Literal["zero", "reflect", "nearest"]


def warp(images: tf.Tensor, matrices: tf.Tensor, interpolation: Interpolation, fill: Fill) -> tf.Tensor:
    """Look up every pixel of the result in the image.

    Args:
        images: uint8 (n, H, W, C).
        matrices: float32 (n, 3, 3), from (row, column, 1) in the result to (row, column, 1) in the image, both
            counted in pixels from the centre.
        interpolation: `bilinear` between the four nearest pixels, or the `nearest` alone.
        fill: what lies outside of the image: `zero` black, `nearest` the border pixel next to it, `reflect` the image
            mirrored about its border pixels, over and over (SciPy's "grid-constant", "nearest" and "mirror").

    Returns:
        uint8 (n, H, W, C), rounded to the nearest.
    """
    rows, columns = _source(matrices, images.shape[1], images.shape[2])
    # bfloat16 holds 0 to 255 exactly; unlike uint8 it can be gathered on a GPU without XLA.
    pixels = tf.cast(images, tf.bfloat16)
    if fill == "zero":
        pixels = tf.pad(pixels, [[0, 0], [1, 1], [1, 1], [0, 0]])
        rows, columns = rows + 1, columns + 1
    count, height, width, channels = pixels.shape
    rows, columns = _inside(rows, height, fill), _inside(columns, width, fill)
    if interpolation == "nearest":
        rows, columns = tf.floor(rows + 0.5), tf.floor(columns + 0.5)
    top, left = tf.floor(rows), tf.floor(columns)
    # In float32, exact up to 4096 × 4096 pixels: whole numbers of 32 bits are added on the host, where there is a GPU.
    start = top * width + left
    offsets = [start]
    if interpolation == "bilinear":
        # On the last row or column the next one has no weight; any pixel will do in its place.
        down = tf.where(top < height - 1, float(width), 0.0)
        right = tf.where(left < width - 1, 1.0, 0.0)
        offsets = [start, start + right, start + down, start + down + right]
    flat = tf.reshape(pixels, (count, height * width, channels))
    found = tf.gather(flat, tf.cast(tf.stack(offsets, axis=1), tf.int32), axis=1, batch_dims=1)
    if interpolation == "nearest":
        return tf.cast(found[:, 0], images.dtype)
    mixed = _interpolate(tf.cast(found, tf.float32), (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis])
    return tf.cast(tf.round(mixed), images.dtype)


def _interpolate(corners: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    upper = corners[:, 0] + right * (corners[:, 1] - corners[:, 0])
    lower = corners[:, 2] + right * (corners[:, 3] - corners[:, 2])
    return upper + down * (lower - upper)


def _source(matrices: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows and columns, float32 (n, height, width), at which each pixel of the result is looked up."""
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    down = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - middle_row
    right = tf.range(width, dtype=tf.float32) - middle_column
    terms = matrices[:, :2, :, tf.newaxis, tf.newaxis]
    places = terms[:, :, 0] * down + terms[:, :, 1] * right + terms[:, :, 2]
    return places[:, 0] + middle_row, places[:, 1] + middle_column


def _inside(places: tf.Tensor, side: int, fill: Fill) -> tf.Tensor:
    """Where in 0 … side - 1 to look up places that may lie anywhere; "zero" has a black border there already."""
    last = side - 1
    if fill == "reflect":
        return last - tf.abs(tf.math.floormod(places, 2.0 * max(last, 1)) - last) if last else tf.zeros_like(places)
    return tf.clip_by_value(places, 0, last)


def affine(rows: Sequence[tf.Tensor | float]) -> tf.Tensor:
    """Matrices (n, 3, 3) from the six entries of their first two rows, each a number or float32 (n,)."""
    count = next(entry.shape for entry in rows if isinstance(entry, tf.Tensor))
    entries = [tf.broadcast_to(tf.cast(entry, tf.float32), count) for entry in (*rows, 0, 0, 1)]
    return tf.reshape(tf.stack(entries, axis=-1), (-1, 3, 3))


def compose(*matrices: tf.Tensor) -> tf.Tensor:
    """The product of matrices (n, 3, 3): the map of the last, then that of the one before it, and so on."""
    product = matrices[0]
    for matrix in matrices[1:]:  # not by tf.matmul, which rounds to TF32 on recent GPUs
        product = tf.reduce_sum(product[:, :, :, tf.newaxis] * matrix[:, tf.newaxis], axis=2)
    return product


def scaling(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Matrices (n, 3, 3) that shrink by these factors, (n,) each: 2 shows twice as much, -1 mirrors."""
    return affine([rows, 0, 0, 0, columns, 0])


def rotation(angles: tf.Tensor) -> tf.Tensor:
    """Matrices (n, 3, 3) that turn by `angles`, (n,) in radians, counter-clockwise where positive."""
    return affine([tf.cos(angles), tf.sin(angles), 0, -tf.sin(angles), tf.cos(angles), 0])


def translation(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Matrices (n, 3, 3) that look this many pixels, (n,) each, further down and to the right."""
    return affine([1, 0, rows, 0, 1, columns])
