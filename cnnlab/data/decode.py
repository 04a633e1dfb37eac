"""From image files to uint8 tensors, in TensorFlow's graph and in parallel."""

import os
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnlab.data.dataset import ImageFiles, ImageShape, Resize, middle
from cnnlab.errors import UserError

LUMA = (0.299, 0.587, 0.114)
"""Red's, green's and blue's share of grey (ITU-R BT.601)."""

DCT_RATIOS = (1, 2, 4, 8)
"""By which libjpeg shrinks an image for less than it costs to decode it whole; its filter is sharper than a mean over
areas, so at least a fifth of the sides is left to the latter."""

TRANSPOSED, MIRRORED, FLIPPED = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
"""The EXIF orientations whose pixels are transposed, then mirrored left to right, then flipped top to bottom."""

RESIZE_BATCH = 1024
DECODE_BATCH = 64

Window = Callable[[tf.Tensor], tf.Tensor]
"""From the sizes of upright images, int32 (n, 2), height and width, to the part of each that is shown, int32 (n, 4),
top, left, height and width."""

ENCODED = (
    tf.TensorSpec((None,), tf.string),
    tf.TensorSpec((None, 2), tf.int32),
    tf.TensorSpec((None,), tf.uint8),
    tf.TensorSpec((None,), tf.bool),
)
"""What `encoded` returns."""


class Cuts(NamedTuple):
    """What is decoded of each of n files, and how; after `unbatch` of one.

    It is computed for a whole batch: an operation on the few numbers of one image takes as long, and there are dozens.

    Attributes:
        sources: string (n,), what is decoded, or the names of files that hold it.
        jpegs: bool (n,), whether it is a JPEG, else a PNG.
        orientations: uint8 (n,), how the pixels are turned, 1 to 8, as EXIF counts.
        ratios: int32 (n,), which of `DCT_RATIOS` a JPEG is decoded at.
        crops: int32 (n, 4), top, left, height and width of what is used of the pixels that are decoded then.
        targets: int32 (n, 2), the height and width that the crop is brought to.
        margins: int32 (n, 2, 2), the black rows above and below it, and the columns left and right.
    """

    sources: tf.Tensor
    jpegs: tf.Tensor
    orientations: tf.Tensor
    ratios: tf.Tensor
    crops: tf.Tensor
    targets: tf.Tensor
    margins: tf.Tensor


def encoded(files: ImageFiles, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """What those of `files` are decoded from that the indices `rows` (n,) choose.

    Returns:
        Names of files as the bytes that they are on disk, or else what was read, (n,) of objects; the sizes, the
        orientations and which are JPEG, as `ImageFiles` has them.
    """
    names = files.sources[rows].tolist()
    sources = list(map(os.fsencode, names)) if files.read is None else files.read(names)
    return np.array(sources, object), files.sizes[rows], files.orientations[rows], files.jpegs[rows]


def cut(
    files: ImageFiles,
    window: Window | None,
    sources: tf.Tensor,
    sizes: tf.Tensor,
    orientations: tf.Tensor,
    jpegs: tf.Tensor,
) -> Cuts:
    """How a batch of `files` is decoded, of which `encoded` is given.

    A JPEG is decoded at the smallest of libjpeg's scales that is well above the target, and only where it is used.

    Args:
        window: the part that is shown, which is stretched to the files' shape; None for what `files.resize` shows, of
            the stored square where there is one.
    """
    turned = _is_one_of(orientations, TRANSPOSED)[:, tf.newaxis]
    height, width = (files.stored if window is None else files).image_shape[:2]
    targets = tf.where(turned, (width, height), (height, width))
    if window is None:
        offsets, extents, inner = _placements(sizes, targets, files.resize)
    else:
        offsets, extents = _turned(window(tf.where(turned, sizes[:, ::-1], sizes)), orientations, sizes)
        inner = targets
    choices = tf.where(jpegs, dct_choice(extents, inner), 0)
    ratios = tf.gather(DCT_RATIOS, choices)[:, tf.newaxis]
    starts = (offsets + ratios // 2) // ratios
    scaled = tf.clip_by_value(tf.cast(tf.round(extents / ratios), tf.int32), 1, -(-sizes // ratios) - starts)
    before = (targets - inner) // 2
    margins = tf.stack([before, targets - inner - before], axis=-1)
    return Cuts(sources, jpegs, orientations, choices, tf.concat([starts, scaled], -1), inner, margins)


def decoder(files: ImageFiles, windowed: bool = False) -> Callable[[Cuts], tf.Tensor]:
    """The graph function from the cut of one of `files` to uint8 of their shape.

    Of what is stored larger the middle is returned, pixel for pixel. What is the same in all files is left out of the
    graph, whose branches cost time. The function raises tf.errors.OpError where the
    content is damaged, when its tensor is evaluated.

    Args:
        windowed: whether the cuts are of windows, which are brought to the shape at once.
    """
    stored = (files if windowed else files.stored).image_shape
    all_jpeg, any_jpeg = files.jpegs.all(), files.jpegs.any()
    any_turned = (files.orientations != 1).any()

    def decode(one: Cuts) -> tf.Tensor:
        content = tf.io.read_file(one.sources) if files.read is None else one.sources
        branches = [partial(each, content, one) for each in (_decode_jpeg, _decode_png)]
        image = tf.cond(one.jpegs, *branches) if any_jpeg != all_jpeg else branches[0 if all_jpeg else 1]()
        image = _rescale(image[tf.newaxis], one.targets)[0]
        if files.resize == "pad" and not windowed:
            image = tf.pad(image, tf.concat([one.margins, [[0, 0]]], 0))
        if any_turned:
            image = _upright(image, one.orientations)
        image = _to_uint8(tf.ensure_shape(image, (*stored[:2], 3)), stored[2])
        return image if stored == files.image_shape else image[middle(stored, files.image_shape)]

    return decode


def dct_choice(windows: tf.Tensor, targets: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Which of `DCT_RATIOS` windows of a JPEG are decoded at, by their sizes and targets, int32 (…, 2): int32 (…)."""
    least = tf.constant([[5 * ratio] for ratio in DCT_RATIOS[1:]]) * tf.cast(targets, tf.int32)[..., tf.newaxis, :]
    fits = tf.reduce_all(4 * windows[..., tf.newaxis, :] >= least, -1)
    return tf.reduce_sum(tf.cast(fits, tf.int32), -1)


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
    decode = tf.autograph.experimental.do_not_convert(decoder(files, window is not None))

    def read(start: np.int64) -> tuple[np.ndarray, ...]:
        return encoded(files, np.arange(int(start), min(int(start) + DECODE_BATCH, len(files))))

    @tf.autograph.experimental.do_not_convert  # takes longer than all the rest
    def cut_batch(*batch: tf.Tensor) -> Cuts:
        return cut(files, window, *batch)

    batches = from_python(tf.data.Dataset.range(0, len(files), DECODE_BATCH), read, *ENCODED)
    return batches.map(cut_batch).unbatch().map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def from_python(numbers: tf.data.Dataset, function: Callable[..., Any], *signature: tf.TensorSpec) -> tf.data.Dataset:
    """What a Python function makes of each number, int64, in order: as many arrays as there are signatures.

    Instead of `Dataset.from_generator`, which lowers malloc's trim threshold for the whole process: every larger tensor
    is then given back to the system and paged in anew, 0.4 ms of each image that is decoded.

    TensorFlow keeps what `tf.numpy_function` calls for the life of the process; so that this is not all the images, it
    knows `function` weakly, which the returned dataset, and what is made of it, keeps alive.
    """
    known = weakref.ref(function)
    nothing = [np.zeros([side or 0 for side in each.shape], each.dtype.as_numpy_dtype) for each in signature]

    def made(number: np.int64) -> Any:
        alive = known()
        return nothing if alive is None else alive(number)  # gone while batches were still made ahead

    @tf.autograph.experimental.do_not_convert
    def call(number: tf.Tensor, kept: Callable[..., Any] = function) -> tuple[tf.Tensor, ...]:
        parts = tf.numpy_function(made, [number], [each.dtype for each in signature])
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


def _decode_jpeg(content: tf.Tensor, one: Cuts) -> tf.Tensor:
    """uint8 (h, w, 3), the crop."""
    decode_at = [partial(tf.image.decode_and_crop_jpeg, content, one.crops, 3, ratio=ratio) for ratio in DCT_RATIOS]
    return tf.switch_case(one.ratios, decode_at)


def _decode_png(content: tf.Tensor, one: Cuts) -> tf.Tensor:
    """uint8 (h, w, 3), the crop."""
    image = tf.image.decode_png(content, channels=3)
    return tf.slice(image, [*tf.unstack(one.crops[:2]), 0], [*tf.unstack(one.crops[2:]), 3])  # refuses what is smaller


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    image = tf.cond(
        _is_one_of(orientation, TRANSPOSED), lambda: tf.transpose(image, (1, 0, 2)), lambda: tf.identity(image)
    )
    for orientations, axis in ((MIRRORED, 1), (FLIPPED, 0)):
        image = tf.cond(
            _is_one_of(orientation, orientations), partial(tf.reverse, image, [axis]), partial(tf.identity, image)
        )
    return image


def _is_one_of(orientations: tf.Tensor, some: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(orientations[..., tf.newaxis] == some, -1)


def _turned(shown: tf.Tensor, orientations: tf.Tensor, sizes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Offsets and extents, int32 (n, 2), of windows (n, 4) of upright images, in the pixels as they are stored."""
    turned = _is_one_of(orientations, TRANSPOSED)[:, tf.newaxis]
    upright = tf.where(turned, sizes[:, ::-1], sizes)
    offsets, extents = shown[:, :2], shown[:, 2:]
    is_reversed = tf.stack([_is_one_of(orientations, each) for each in (FLIPPED, MIRRORED)], axis=-1)
    offsets = tf.where(is_reversed, upright - offsets - extents, offsets)
    return tf.where(turned, offsets[:, ::-1], offsets), tf.where(turned, extents[:, ::-1], extents)


def _placements(sizes: tf.Tensor, targets: tf.Tensor, resize: Resize) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The offset and size of what `resize` shows of images, and its size in the targets; int32 (n, 2) all."""
    scales = tf.cast(sizes, tf.float32) / tf.cast(targets, tf.float32)
    if resize == "crop":
        scale = tf.reduce_min(scales, -1, keepdims=True)
        wanted = tf.cast(tf.round(tf.cast(targets, tf.float32) * scale), tf.int32)
        offsets = (sizes - tf.clip_by_value(wanted, 1, sizes)) // 2
        return offsets, sizes - 2 * offsets, targets  # as much left out on one side as on the other, however turned
    if resize == "pad":
        scale = tf.reduce_max(scales, -1, keepdims=True)
        wanted = tf.cast(tf.round(tf.cast(sizes, tf.float32) / scale), tf.int32)
        margins = (targets - tf.clip_by_value(wanted, 1, targets)) // 2
        return tf.zeros_like(sizes), sizes, targets - 2 * margins
    return tf.zeros_like(sizes), sizes, targets


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
