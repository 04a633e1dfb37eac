"""From image files to uint8 tensors, in TensorFlow's graph and in parallel."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cnnlab.data.dataset import ImageFiles, ImageShape
from cnnlab.errors import UserError

LUMA = (0.299, 0.587, 0.114)
"""Red's, green's and blue's share of grey (ITU-R BT.601)."""

BMP = b"BM"
BMP_24_BITS, BMP_32_BITS = b"\x18\x00", b"\x20\x00"
BMP_8_BITS_PLAIN = b"\x08\x00" + bytes(4)  # bits per pixel, then compression
BMP_GREYS = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))

RESIZE_BATCH = 1024
DECODE_BATCH = 64


def decode_image(path: tf.Tensor, image_shape: ImageShape) -> tf.Tensor:
    """Decode one image file and resize it, aspect ratio aside.

    Grey, palette, CMYK and 16-bit images are converted, transparency is dropped, of a GIF the first frame is
    taken, orientation tags (EXIF) are not read.

    Args:
        path: scalar string tensor, a JPEG, PNG, BMP or GIF file.
        image_shape: (height, width, channels) to return; channels is 1 (luma) or 3.

    Returns:
        uint8 tensor of shape `image_shape`.

    Raises:
        tf.errors.OpError: the file is missing or damaged, or a BMP with a colour table, when the tensor is
            evaluated. The error does not tell the file: see `find_damaged`.
    """
    return resize(_decode(path), image_shape)


def resize(images: tf.Tensor, image_shape: ImageShape) -> tf.Tensor:
    """Resize by bilinear interpolation, antialiased when shrinking, and convert between grey and RGB.

    Args:
        images: uint8 tensor of shape (..., h, w, c); c is 1 or 3 and static.
        image_shape: (height, width, channels) to return.

    Returns:
        uint8 tensor of shape (..., *image_shape), rounded to nearest.
    """
    height, width, channels = image_shape
    # Antialiasing changes nothing where neither side shrinks, but costs twenty times as much.
    resized = tf.cond(
        tf.reduce_all(tf.shape(images)[-3:-1] <= (height, width)),
        lambda: tf.image.resize(images, (height, width)),
        lambda: tf.image.resize(images, (height, width), antialias=True),
    )
    if channels == 1 and images.shape[-1] == 3:
        resized = tf.tensordot(resized, tf.constant(LUMA), 1)[..., tf.newaxis]
    elif channels == 3 and images.shape[-1] == 1:
        resized = tf.repeat(resized, 3, axis=-1)
    return tf.cast(tf.round(resized), tf.uint8)


def resize_array(images: np.ndarray, image_shape: ImageShape) -> np.ndarray:
    """`resize` for a uint8 array of shape (N, h, w, c), with memory for the result and little more."""
    resized = np.empty((len(images), *image_shape), np.uint8)
    with tf.device("CPU"):
        for start in range(0, len(images), RESIZE_BATCH):
            part = slice(start, start + RESIZE_BATCH)
            resized[part] = resize(tf.constant(images[part]), image_shape)
    return resized


def load_images(files: ImageFiles) -> np.ndarray:
    """Decode all files, in parallel: uint8 array of shape (N, *image_shape).

    Raises:
        UserError: a file cannot be decoded; it is named.
    """
    images = np.empty((len(files), *files.image_shape), np.uint8)
    batches = iter(
        tf.data.Dataset.from_tensor_slices(_names(files.paths))
        .map(lambda path: decode_image(path, files.image_shape), num_parallel_calls=tf.data.AUTOTUNE)
        .batch(DECODE_BATCH)
    )
    for start in range(0, len(files), DECODE_BATCH):
        part = slice(start, start + DECODE_BATCH)
        try:
            images[part] = next(batches)
        except tf.errors.OpError as error:
            damaged = find_damaged(files.paths[part])
            raise UserError(f"{damaged}: cannot be decoded; replace or remove it") from error
    return images


def find_damaged(paths: Sequence[str] | np.ndarray) -> str | None:
    """The first of `paths` that cannot be decoded, or None; files are decoded in parallel."""
    sizes = iter(
        tf.data.Dataset.from_tensor_slices(_names(paths)).map(
            lambda path: tf.size(_decode(path)), num_parallel_calls=tf.data.AUTOTUNE
        )
    )
    for path in paths:
        try:
            next(sizes)
        except tf.errors.OpError:  # raised at the file's own turn, whatever was decoded ahead
            return str(path)
    return None


def _names(paths: Sequence[str] | np.ndarray) -> tf.Tensor:
    """File names as the bytes that they are on disk, which need not be UTF-8."""
    return tf.constant([os.fsencode(path) for path in paths], tf.string)


def _decode(path: tf.Tensor) -> tf.Tensor:
    """The uint8 (h, w, 3) pixels of a file."""
    content = tf.io.read_file(path)
    with tf.control_dependencies([_assert_bmp_has_no_colours(content)]):
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def _assert_bmp_has_no_colours(content: tf.Tensor) -> tf.Operation:
    """Fail for a BMP with a colour table: TensorFlow would take its indices for grey values."""

    def check() -> tf.Operation:
        bits = tf.strings.substr(content, 28, 2)
        grey = (tf.strings.substr(content, 28, 6) == BMP_8_BITS_PLAIN) & (
            tf.strings.substr(content, 54, len(BMP_GREYS)) == BMP_GREYS
        )
        supported = (bits == BMP_24_BITS) | (bits == BMP_32_BITS) | grey
        return tf.debugging.Assert(supported, ["BMP with a colour table"])

    return tf.cond(tf.strings.substr(content, 0, 2) == BMP, check, tf.no_op)
