"""Crops of the stored images, which are larger than what the network sees."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.resample import resample
from cnnlab.data.dataset import ImageFiles, Split, stored_shape


class RandomCrop:
    """Cuts a window of the image shape out of each stored square (`dataset.resize_size`), anywhere in it.

    AlexNet's 224×224 of 256×256 pixels (Krizhevsky et al. 2012, section 4.1). With `shorter_side`, the square is first
    brought to a side that is drawn anew, as ResNet's (He et al. 2015, section 3.4), which were however cut out of the
    whole photograph, not of the square in its middle. Image files are then stored at the largest of these sides for the
    training, so that no crop shows less than the file has; the middle that is evaluated stays `resize_size`'s.

    Args:
        image_shape: (height, width, channels) of the crops.
        shorter_side: (smallest, largest) side in pixels, both included; None takes stored squares as they are.

    Raises:
        ValueError: shorter_side is no interval, or its crops do not fit into it.
    """

    strength: ClassVar[tuple[str, ...]] = ()
    on_host: ClassVar[bool] = False

    def __init__(self, image_shape: Sequence[int], shorter_side: Sequence[int] | None = None):
        self._height, self._width, _ = image_shape
        if shorter_side is not None:
            needed = max(self._height, self._width)
            if len(shorter_side) != 2 or not needed <= shorter_side[0] <= shorter_side[1]:
                raise ValueError(
                    f"shorter_side={list(shorter_side)}: must be [smallest, largest] of {needed} pixels or more, into "
                    "which the images fit"
                )
        self._shorter_side = shorter_side

    def source(self, split: Split) -> np.ndarray | ImageFiles:
        """The stored squares, of files the largest that are asked for."""
        if self._shorter_side is None or not isinstance(split.images, ImageFiles):
            return split.stored
        return split.images.shaped(stored_shape(split.image_shape, self._shorter_side[1]))

    def draw(self, stream: RandomStream) -> tf.Tensor:
        """Float32 (n, 3) from 0 to 1."""
        return stream.apart().uniform((3,))

    def window(self, drawn: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Windows float32 (…, 4) in stored images of `size`, int32 (2,): whole pixels where these are not resized."""
        size = tf.cast(size, tf.float32)
        shorter = tf.reduce_min(size)
        side = shorter * tf.ones_like(drawn[..., 0])
        if self._shorter_side is not None:
            smallest, largest = self._shorter_side
            side = smallest + tf.floor(drawn[..., 0] * (largest - smallest + 1))
        pixel = shorter / side
        extents = tf.stack([self._height * pixel, self._width * pixel], axis=-1)
        free = tf.round(size / pixel[..., tf.newaxis]) - (self._height, self._width)
        start = tf.floor(drawn[..., 1:] * (free + 1)) * pixel[..., tf.newaxis]
        return tf.concat([tf.minimum(start, size - extents), extents], axis=-1)

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, (n, *image_shape) out."""
        windows = self.window(self.draw(stream), tf.constant([*images.shape[1:3]]))
        if self._shorter_side is not None:
            return resample(images, windows, self._height, self._width)
        start = tf.cast(windows[:, :2], tf.int32)
        # bfloat16 holds 0 to 255 exactly; unlike uint8 it can be gathered on a GPU without XLA.
        pixels = tf.cast(images, tf.bfloat16)
        pixels = tf.gather(pixels, start[:, :1] + tf.range(self._height), axis=1, batch_dims=1)
        pixels = tf.gather(pixels, start[:, 1:] + tf.range(self._width), axis=2, batch_dims=1)
        return tf.cast(pixels, images.dtype)
