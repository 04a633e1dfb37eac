"""Crops of any size and aspect ratio, read from the image files themselves."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.augmentation.resample import resample
from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.data.decode import DCT_RATIOS, dct_choice

ATTEMPTS = 10
QUANTILES = 4096


class RandomResizedCrop:
    """Shows a window of each image whose area and aspect ratio are drawn at random, stretched to the image shape.

    Szegedy et al. 2014, "Going deeper with convolutions", section 6, by the rule of torchvision's RandomResizedCrop: of
    ten windows the first that fits into the image, or else its middle. Image files are cut while they are decoded, each
    from all of its pixels; arrays as they are stored.

    Args:
        image_shape: (height, width, channels) of the crops.
        scale: (smallest, largest) share of the image's area, uniform between them.
        ratio: (smallest, largest) width over height, the logarithm uniform between them.

    Raises:
        ValueError: scale or ratio is no interval of possible values.
    """

    strength: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        image_shape: Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (0.75, 1.3333333333333333),
    ):
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale={list(scale)}: must be [smallest, largest], above 0 and up to 1")
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"ratio={list(ratio)}: must be [smallest, largest], above 0")
        self._height, self._width, _ = image_shape
        self._scale = scale
        self._ratio = ratio
        # Looked up, because the last bit of a computed logarithm depends on where in a batch it stands.
        shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
        self._elongations = ((ratio[0] ** (1 - shares) * ratio[1] ** shares) ** 0.5).astype(np.float32)
        self.on_host = False

    def adapt(self, split: Split) -> None:
        """Leave the cropping of image files to the data loader."""
        self.on_host = isinstance(split.images, ImageFiles)

    def source(self, split: Split) -> np.ndarray | ImageFiles:
        """The files, whose windows the data loader reads, or arrays as they are stored."""
        return split.images if self.on_host else split.stored

    def draw(self, stream: RandomStream) -> tf.Tensor:
        """Float32 (n, 10, 4) from 0 to 1."""
        return stream.apart().uniform((ATTEMPTS, 4))

    def window(self, drawn: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Windows int32 (…, 4) in images of `size`, int32 (…, 2) or (2,), in whole pixels, and in whole ones of those
        that a JPEG is decoded to, so that these need not be cut: by less than one pixel of the crop."""
        size = tf.cast(size, tf.float32)
        share = self._scale[0] + (self._scale[1] - self._scale[0]) * drawn[..., 0]
        area, around = share * tf.reduce_prod(size, -1, keepdims=True), size[..., tf.newaxis, :]
        elongation = tf.gather(self._elongations, tf.cast(drawn[..., 1] * QUANTILES, tf.int32))
        side = tf.sqrt(area)
        extents = tf.round(tf.stack([side / elongation, side * elongation], axis=-1))
        fits = tf.reduce_all((extents >= 1) & (extents <= around), axis=-1)
        start = tf.floor(drawn[..., 2:] * (around - extents + 1))
        windows = tf.concat([start, extents], axis=-1)
        first = tf.one_hot(tf.argmax(fits, axis=-1), ATTEMPTS, on_value=True, off_value=False)
        chosen = tf.reduce_sum(tf.where(first[..., tf.newaxis], windows, 0), axis=-2)
        found = tf.reduce_any(fits, axis=-1, keepdims=True)
        window = tf.cast(tf.where(found, chosen, self._largest(size)), tf.int32)
        ratio = tf.gather(DCT_RATIOS, dct_choice(window[..., 2:], (self._height, self._width)))[..., tf.newaxis]
        return window // ratio * ratio

    def _largest(self, size: tf.Tensor) -> tf.Tensor:
        """The middle of an image, as much as has a possible aspect ratio."""
        height, width = size[..., 0], size[..., 1]
        extents = tf.stack([tf.minimum(height, width / self._ratio[0]), tf.minimum(width, height * self._ratio[1])], -1)
        extents = tf.maximum(tf.round(extents), 1)
        return tf.concat([tf.floor((size - extents) / 2), extents], -1)

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, (n, *image_shape) out; what the data loader has cut out already, as it is."""
        if self.on_host:
            return images
        windows = self.window(self.draw(stream), tf.constant([*images.shape[1:3]]))
        return resample(images, tf.cast(windows, tf.float32), self._height, self._width)
