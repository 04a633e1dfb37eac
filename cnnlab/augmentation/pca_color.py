"""Colour shifts along the principal components of the colours, after AlexNet."""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import tensorflow as tf

from cnnlab.augmentation.color import to_uint8
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.ranges import AT_LEAST_0
from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.data.sample import decoded

SAMPLE_IMAGES = 2048  # of files, if they are not so large that fewer must do; three channels need no more
SAMPLE_BYTES = 256 * 2**20
BATCH_BYTES = 4 * 2**20  # of pixels, which take eight times as much while they are summed


class PcaColor:
    """Adds P (λ ⊙ α) to all pixels of an image, α drawn from the normal distribution N(0, σ²) for each image.

    P and λ are the eigenvectors and eigenvalues of the covariance C of the colours, in units of the full range
    (0 … 1): Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section 4.1.

    Nothing is decomposed for that. Since α has no preferred direction, P (λ ⊙ α) is distributed as C β with β drawn
    like α: normal, with mean 0 and covariance σ² C². So each image costs a product of a matrix and a vector.

    Args:
        sigma: σ.
        covariance: of the pixels of all images of the `training` split, as published; or of each `image` itself.
    """

    strength: ClassVar[tuple[str, ...]] = ("sigma",)

    def __init__(
        self, sigma: Annotated[float, AT_LEAST_0] = 0.1, covariance: Literal["training", "image"] = "training"
    ):
        self._sigma = sigma
        self._of_training = covariance == "training"
        self._covariance: np.ndarray | None = None

    def adapt(self, split: Split) -> None:
        """Compute the covariance of the training split's pixels; of files, of at most 2,048 spread evenly over it."""
        if self._of_training:
            self._covariance = _covariance_of_pixels(_images(split)).astype(np.float32)

    def __call__(self, images: tf.Tensor, stream: RandomStream) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out.

        Raises:
            RuntimeError: the training split's covariance is needed, and `adapt` was not called.
        """
        if self._of_training and self._covariance is None:
            raise RuntimeError("adapt the operation to a training split before it is used")
        pixels = tf.cast(images, tf.float32)
        covariances = self._covariance if self._of_training else _covariances(pixels / 255)
        directions = self._sigma * stream.normal((images.shape[-1],))
        shifts = tf.reduce_sum(covariances * directions[:, tf.newaxis], axis=2)
        return to_uint8(pixels + 255 * shifts[:, tf.newaxis, tf.newaxis])


def _covariances(pixels: tf.Tensor) -> tf.Tensor:
    """(n, C, C), of each image's own pixels (n, H, W, C)."""
    centred = pixels - tf.reduce_mean(pixels, axis=[1, 2], keepdims=True)
    columns = [tf.reduce_mean(centred * centred[..., i : i + 1], axis=[1, 2]) for i in range(pixels.shape[-1])]
    return tf.stack(columns, axis=2)


def _covariance_of_pixels(images: np.ndarray) -> np.ndarray:
    """float64 (C, C), of uint8 (N, H, W, C) pixels taken as 0 … 1."""
    channels = images.shape[-1]
    sums, products, count = np.zeros(channels), np.zeros((channels, channels)), 0
    batch = max(1, BATCH_BYTES // math.prod(images.shape[1:]))
    for start in range(0, len(images), batch):
        pixels = images[start : start + batch].reshape(-1, channels) / 255
        sums += pixels.sum(axis=0)
        products += pixels.T @ pixels
        count += len(pixels)
    mean = sums / count
    return products / count - np.outer(mean, mean)


def _images(split: Split) -> np.ndarray:
    if not isinstance(split.images, ImageFiles):
        return split.images
    count = max(1, min(SAMPLE_IMAGES, SAMPLE_BYTES // math.prod(split.images.image_shape)))
    chosen = np.unique(np.linspace(0, len(split) - 1, count).astype(int))
    return decoded(split.take(chosen)).images
