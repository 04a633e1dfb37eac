"""From image files to uint8 tensors, in TensorFlow's graph and in parallel."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from cnnlab.data.dataset import ImageFiles, ImageShape, Resize, middle
from cnnlab.errors import UserError

LUMA = (0.299, 0.587, 0.114)
"""Red's, green's and blue's share of grey (ITU-R BT.601)."""

JPEG = b"\xff\xd8\xff"
DCT_RATIOS = (1, 2, 4, 8)
"""By which libjpeg shrinks an image for less than it costs to decode it whole; its filter is sharper than a mean over
areas, so at least a fifth of the sides is left to the latter."""

TRANSPOSED, MIRRORED, FLIPPED = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
"""The EXIF orientations whose pixels are transposed, then mirrored left to right, then flipped top to bottom."""

RESIZE_BATCH = 1024
DECODE_BATCH = 64

Window = Callable[[tf.Tensor], tf.Tensor]
"""From the size of an upright image, int32 (height, width), to the part of it that is shown: int32 (top, left, height,
width)."""

Placement = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Which part of an image is shown, and how large: its offset and size, and its size in the target; int32 (2,) each."""


def decode_file(
    files: ImageFiles, source: tf.Tensor, orientation: tf.Tensor, window: Window | None = None
) -> tf.Tensor:
    """Decode one of `files` as they say; see `decode_image`, whose shape is theirs. Its source is one of `encoded`.

    Where they are stored larger, the middle of the stored square is returned, pixel for pixel; a window is brought to
    their shape at once.
    """
    content = tf.io.read_file(source) if files.read is None else source
    # What is the same in all files is left out of the graph, whose branches cost small images a fifth of their time.
    jpeg = None if files.jpegs.any() != files.jpegs.all() else bool(files.jpegs.all())
    upright = None if (files.orientations == 1).all() else orientation
    if window is not None or files.resize_size is None:
        return decode_image(content, upright, files.image_shape, files.resize, window, jpeg)
    square = files.stored.image_shape
    return decode_image(content, upright, square, files.resize, jpeg=jpeg)[middle(square, files.image_shape)]


def decode_image(
    content: tf.Tensor,
    orientation: tf.Tensor | None,
    image_shape: ImageShape,
    resize: Resize,
    window: Window | None = None,
    jpeg: bool | None = None,
) -> tf.Tensor:
    """Decode one image, turn it upright and bring it to a shape.

    A JPEG is decoded at the smallest of libjpeg's scales that is well above the target, and only where it is used.

    Args:
        content: scalar string tensor, what a JPEG or PNG file holds.
        orientation: scalar integer tensor, 1 to 8, as EXIF counts them; None for 1.
        image_shape: (height, width, channels) to return; channels is 1 (luma) or 3.
        resize: see `Resize`.
        window: the part that is shown, which is stretched to the shape; None for what `resize` shows.
        jpeg: whether it is a JPEG; None to look.

    Returns:
        uint8 tensor of shape `image_shape`.

    Raises:
        tf.errors.OpError: the content is damaged, when the tensor is evaluated.
    """
    height, width, channels = image_shape
    turned = tf.constant(False) if orientation is None else tf.reduce_any(tf.equal(orientation, TRANSPOSED))
    target = tf.constant((height, width)) if orientation is None else tf.where(turned, (width, height), (height, width))
    if window is None:
        place = partial(_placement, target=target, resize=resize)
    else:
        place = partial(_turned, window, 1 if orientation is None else orientation, target)
    margins = resize == "pad" and window is None
    branches = [partial(decode, content, target, place, margins) for decode in (_decode_jpeg, _decode_png)]
    if jpeg is None:
        image = tf.cond(tf.strings.substr(content, 0, len(JPEG)) == JPEG, *branches)
    else:
        image = branches[0 if jpeg else 1]()
    if orientation is not None:
        image = _upright(image, orientation, turned)
    return _to_uint8(tf.ensure_shape(image, (height, width, 3)), channels)


def _upright(image: tf.Tensor, orientation: tf.Tensor, turned: tf.Tensor) -> tf.Tensor:
    image = tf.cond(turned, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for orientations, axis in ((MIRRORED, 1), (FLIPPED, 0)):
        image = tf.cond(
            tf.reduce_any(tf.equal(orientation, orientations)),
            partial(tf.reverse, image, [axis]),
            partial(tf.identity, image),
        )
    return image


def dct_choice(window: tf.Tensor, target: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Which of `DCT_RATIOS` a window of a JPEG is decoded at, by its size and that in the target, (…, 2): int32 (…)."""
    fits = [tf.reduce_all(4 * window >= 5 * ratio * tf.cast(target, window.dtype), -1) for ratio in DCT_RATIOS[1:]]
    return tf.add_n([tf.cast(each, tf.int32) for each in fits])


def resize_images(images: tf.Tensor, image_shape: ImageShape) -> tf.Tensor:
    """Resize, aspect ratio aside, and convert between grey and RGB.

    Args:
        images: uint8 tensor of shape (n, h, w, c); c is 1 or 3 and static.
        image_shape: (height, width, channels) to return.

    Returns:
        uint8 tensor of shape (n, *image_shape), rounded to nearest.
    """
    height, width, channels = image_shape
    return _to_uint8(_rescale(images, tf.constant((height, width))), channels)


def resize_array(images: np.ndarray, image_shape: ImageShape) -> np.ndarray:
    """`resize_images` for a uint8 array of shape (N, h, w, c), with memory for the result and little more."""
    resized = np.empty((len(images), *image_shape), np.uint8)
    with tf.device("CPU"):
        for start in range(0, len(images), RESIZE_BATCH):
            part = slice(start, start + RESIZE_BATCH)
            resized[part] = resize_images(tf.constant(images[part]), image_shape)
    return resized


def decoding(files: ImageFiles, window: Window | None = None) -> tf.data.Dataset:
    """The images of files, uint8 of `files.image_shape`, one by one and in their order; decoded in parallel."""

    @tf.autograph.experimental.do_not_convert  # takes longer than all the rest
    def decode(source: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
        return decode_file(files, source, orientation, window)

    def sources(start: np.int64) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(int(start), min(int(start) + DECODE_BATCH, len(files)))
        return np.array(encoded(files, rows), object), files.orientations[rows]

    batches = tf.data.Dataset.range(0, len(files), DECODE_BATCH)
    examples = from_python(batches, sources, tf.TensorSpec((None,), tf.string), tf.TensorSpec((None,), tf.uint8))
    return examples.unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def from_python(numbers: tf.data.Dataset, function: Callable[..., Any], *signature: tf.TensorSpec) -> tf.data.Dataset:
    """What a Python function makes of each number, int64, in order: as many arrays as there are signatures.

    Instead of `Dataset.from_generator`, which lowers malloc's trim threshold for the whole process: every larger tensor
    is then given back to the system and paged in anew, 0.4 ms of each image that is decoded.
    """

    @tf.autograph.experimental.do_not_convert
    def call(number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parts = tf.numpy_function(function, [number], [each.dtype for each in signature])
        return tuple(tf.ensure_shape(part, each.shape) for part, each in zip(parts, signature, strict=True))

    return numbers.map(call)


def stream_images(files: ImageFiles, batch_size: int, window: Window | None = None) -> Iterator[tf.Tensor]:
    """Batches of images, or of a window of each, uint8 (b, *image_shape), decoded ahead of their use by two batches.

    Raises:
        UserError: a file cannot be decoded; it is named.
    """
    try:
        yield from decoding(files, window).batch(batch_size).prefetch(2)
    except tf.errors.OpError as error:
        raise UserError(f"{find_damaged(files)}: cannot be decoded; replace or remove it") from error


def load_images(files: ImageFiles) -> np.ndarray:
    """Decode all files, in parallel: uint8 array of shape (N, *image_shape).

    Raises:
        UserError: a file cannot be decoded; it is named.
    """
    images = np.empty((len(files), *files.image_shape), np.uint8)
    for start, batch in zip(range(0, len(files), DECODE_BATCH), stream_images(files, DECODE_BATCH), strict=True):
        images[start : start + DECODE_BATCH] = batch
    return images


def find_damaged(files: ImageFiles) -> str | None:
    """The first of the files that cannot be decoded, or None."""
    images = iter(decoding(files))
    for path in files.paths:
        try:
            next(images)
        except tf.errors.OpError:  # raised at the file's own turn, whatever was decoded ahead
            return str(path)
    return None


def encoded(files: ImageFiles, rows: np.ndarray) -> list[bytes]:
    """What `decode_file` takes: names of files as the bytes that they are on disk, or else what was read."""
    sources = files.sources[rows].tolist()
    return list(map(os.fsencode, sources)) if files.read is None else files.read(sources)


def _decode_jpeg(
    content: tf.Tensor, target: tf.Tensor, place: Callable[[tf.Tensor], Placement], margins: bool
) -> tf.Tensor:
    """float32 (*target, 3)."""
    size = tf.image.extract_jpeg_shape(content)[:2]
    offset, window, inner = place(size)
    choice = dct_choice(window, inner)
    ratio = tf.gather(DCT_RATIOS, choice)
    scaled_size, scaled_offset = -(-size // ratio), (offset + ratio // 2) // ratio
    scaled = tf.clip_by_value(tf.cast(tf.round(window / ratio), tf.int32), 1, scaled_size - scaled_offset)
    crop = tf.concat([scaled_offset, scaled], 0)
    image = tf.switch_case(
        choice,
        [partial(tf.image.decode_and_crop_jpeg, content, crop, channels=3, ratio=ratio) for ratio in DCT_RATIOS],
    )
    return _place(image, target, inner, margins)


def _decode_png(
    content: tf.Tensor, target: tf.Tensor, place: Callable[[tf.Tensor], Placement], margins: bool
) -> tf.Tensor:
    """float32 (*target, 3)."""
    image = tf.image.decode_png(content, channels=3)
    offset, window, inner = place(tf.shape(image)[:2])
    return _place(image[offset[0] : offset[0] + window[0], offset[1] : offset[1] + window[1]], target, inner, margins)


def _turned(window: Window, orientation: tf.Tensor, target: tf.Tensor, size: tf.Tensor) -> Placement:
    """Where a window of the upright image lies in one that is stored as `orientation` says, and fills the target."""
    turned = tf.reduce_any(tf.equal(orientation, TRANSPOSED))
    upright = tf.where(turned, size[::-1], size)
    shown = window(upright)
    offset, extent = shown[:2], shown[2:]
    is_reversed = tf.stack([tf.reduce_any(tf.equal(orientation, each)) for each in (FLIPPED, MIRRORED)])
    offset = tf.where(is_reversed, upright - offset - extent, offset)
    return tf.where(turned, offset[::-1], offset), tf.where(turned, extent[::-1], extent), target


def _placement(size: tf.Tensor, target: tf.Tensor, resize: Resize) -> Placement:
    """What `resize` shows."""
    scales = tf.cast(size, tf.float32) / tf.cast(target, tf.float32)
    if resize == "crop":
        wanted = tf.cast(tf.round(tf.cast(target, tf.float32) * tf.reduce_min(scales)), tf.int32)
        offset = (size - tf.clip_by_value(wanted, 1, size)) // 2
        return offset, size - 2 * offset, target  # as much left out on one side as on the other, however it is turned
    if resize == "pad":
        wanted = tf.cast(tf.round(tf.cast(size, tf.float32) / tf.reduce_max(scales)), tf.int32)
        margin = (target - tf.clip_by_value(wanted, 1, target)) // 2
        return tf.zeros_like(size), size, target - 2 * margin
    return tf.zeros_like(size), size, target


def _place(image: tf.Tensor, target: tf.Tensor, inner: tf.Tensor, margins: bool) -> tf.Tensor:
    """A window, uint8 (h, w, 3), at its size in the middle of the target, black around it; float32."""
    image = _rescale(image[tf.newaxis], inner)[0]
    if not margins:
        return image
    before = (target - inner) // 2
    around = tf.stack([before, target - inner - before], axis=1)
    return tf.pad(image, tf.concat([around, [[0, 0]]], 0))


def _rescale(images: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Shrink to the mean of the area that a pixel covers, enlarge by bilinear interpolation; float32 (n, *size, c).

    The mean over the area is free of aliases, and costs a third of TensorFlow's antialiased interpolation.
    """
    smaller = tf.minimum(tf.shape(images)[1:3], size)
    shrunk = tf.cond(
        tf.reduce_all(smaller == tf.shape(images)[1:3]),
        lambda: tf.cast(images, tf.float32),
        lambda: tf.raw_ops.ResizeArea(images=images, size=smaller),
    )
    return tf.cond(
        tf.reduce_all(smaller == size),
        lambda: shrunk,
        lambda: tf.raw_ops.ResizeBilinear(images=shrunk, size=size, half_pixel_centers=True),
    )


def _to_uint8(images: tf.Tensor, channels: int) -> tf.Tensor:
    if channels == 1 and images.shape[-1] == 3:
        images = tf.tensordot(images, tf.constant(LUMA), 1)[..., tf.newaxis]
    elif channels == 3 and images.shape[-1] == 1:
        images = tf.repeat(images, 3, axis=-1)
    return tf.cast(tf.round(images), tf.uint8)
