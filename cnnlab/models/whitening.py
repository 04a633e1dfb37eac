"""Layers that whiten: fitted to the training images once, then fixed."""

import logging
import math
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

from cnnlab.models.layers import REGISTRY

log = logging.getLogger(__name__)

ADAPT_BATCH = 1024
EMPTY_DIRECTION = 1e-6  # of the largest eigenvalue: what float32 leaves of none


@runtime_checkable
class AdaptedLayer(Protocol):
    """A layer that is fitted to training images before the training, rather than trained."""

    def adapt(self, data: Iterable[np.ndarray]) -> None:
        """Fit the layer to batches (n, H, W, C) of what reaches it."""


@keras.saving.register_keras_serializable(package=REGISTRY)
class ZCAWhitening(keras.layers.Layer):
    """Decorrelates all values of an image and brings them to unit variance, staying close to the image.

    output = (input - mean) @ matrix,   matrix = V diag(1 / sqrt(eigenvalues + epsilon)) V^T

    with the eigenvectors V and eigenvalues of the training images' covariance matrix (divided by N). After
    Bell and Sejnowski, "The independent components of natural scenes are edge filters" (1997), and
    Krizhevsky, "Learning multiple layers of features from tiny images" (2009), appendix A. Until `adapt` is
    called the layer returns its input.

    Args:
        epsilon: variance added to each eigenvalue, in the units of the input's variance; the larger, the
            less noise in directions that hardly vary is amplified.

    Input and output: (N, H, W, C) floats. `mean` (H, W, C) and `matrix` (H·W·C, H·W·C) are weights that are
    saved with the model and never trained.
    """

    def __init__(self, epsilon: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        image_shape = tuple(input_shape[1:])
        size = math.prod(image_shape)
        self.mean = self.add_weight(name="mean", shape=image_shape, initializer="zeros", trainable=False)
        self.matrix = self.add_weight(name="matrix", shape=(size, size), initializer="identity", trainable=False)

    def adapt(self, data: np.ndarray | Iterable[np.ndarray]) -> None:
        """Fit mean and matrix.

        The covariance is summed in float64, batch by batch: memory is a few times (H·W·C)² numbers, however
        many images there are.

        Args:
            data: (N, H, W, C) images as they will reach the layer, or batches of them.
        """
        count = 0
        total: np.ndarray | float = 0.0
        products: np.ndarray | float = 0.0
        for batch in _batches(data):
            if not self.built:
                self.build((None, *batch.shape[1:]))
            flat = np.asarray(batch, np.float64).reshape(len(batch), -1)
            count += len(flat)
            total += flat.sum(axis=0)
            products += flat.T @ flat
        mean = np.asarray(total / count)
        covariance = products / count - np.outer(mean, mean)
        self.mean.assign(mean.reshape(self.mean.shape))
        self.matrix.assign(_whitening_matrix(covariance, self.epsilon))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        centred = tf.reshape(inputs - self.mean, (-1, self.matrix.shape[0]))
        return tf.reshape(centred @ self.matrix, (-1, *self.mean.shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package=REGISTRY)
class PatchWhitening(keras.layers.Layer):
    """A convolution whose kernels are the whitened principal directions of small patches, and their negatives.

    After Page, "How to train your ResNet" (2018), part 8, and Jordan, "94 % on CIFAR-10 in 3.29 seconds on a
    single GPU" (2024), section 3.2: the eigenvectors of the patches' second moments, each divided by
    sqrt(eigenvalue + epsilon), so that every output has about unit variance and no two are correlated. Only
    the bias is trained. Until `adapt` is called, all kernels are zero.

    Args:
        size: side of the square patches.
        epsilon: added to each eigenvalue, in the units of the input's variance.
        bias_regularizer: as for keras.layers.Conv2D.

    Input: (N, H, W, C) floats. Output: (N, H - size + 1, W - size + 1, 2 · C · size²), not padded.
    """

    def __init__(
        self,
        size: int = 2,
        epsilon: float = 5e-4,
        bias_regularizer: keras.regularizers.Regularizer | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = size
        self.epsilon = epsilon
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, input_shape: tuple[int | None, int | None, int | None, int]) -> None:
        channels = input_shape[-1]
        filters = 2 * channels * self.size**2
        shape = (self.size, self.size, channels, filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros", trainable=False)
        self.bias = self.add_weight(
            name="bias", shape=(filters,), initializer="zeros", regularizer=self.bias_regularizer
        )

    def adapt(self, data: np.ndarray | Iterable[np.ndarray]) -> None:
        """Fit the kernels.

        Args:
            data: (N, H, W, C) images as they will reach the layer, or batches of them. Directions in which their
                patches do not vary are told.
        """
        count = 0
        products: np.ndarray | float = 0.0
        for batch in _batches(data):
            windows = np.lib.stride_tricks.sliding_window_view(batch, (self.size, self.size), axis=(1, 2))
            patches = np.moveaxis(windows, 3, -1).reshape(-1, math.prod(self.kernel.shape[:3]))  # (h, w, channel)
            count += len(patches)
            products += np.asarray(patches.T @ patches, np.float64)
        eigenvalues, vectors = scipy.linalg.eigh(products / count)
        empty = np.count_nonzero(eigenvalues <= EMPTY_DIRECTION * eigenvalues[-1])
        if empty:
            log.warning(
                "%s: %d of %d directions of the patches are empty, as where grey images are stored as RGB; batch "
                "normalisation behind it makes huge gradients of them; input_shape=[height,width,1] makes them grey",
                *(self.name, empty, len(eigenvalues)),
            )
        scaled = vectors / np.sqrt(np.maximum(eigenvalues, 0) + self.epsilon)
        self.kernel.assign(np.concatenate([scaled, -scaled], axis=1).reshape(self.kernel.shape))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(inputs, self.kernel, padding="valid") + self.bias

    def compute_output_shape(
        self, input_shape: tuple[int | None, int | None, int | None, int]
    ) -> tuple[int | None, ...]:
        images, *sides, channels = input_shape
        fewer = (None if side is None else side - self.size + 1 for side in sides)
        return images, *fewer, 2 * channels * self.size**2

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "epsilon": self.epsilon,
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
        }


def _batches(data: np.ndarray | Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """`data` itself, or where it is one array, slices of it."""
    if not isinstance(data, np.ndarray):
        return data
    return (data[start : start + ADAPT_BATCH] for start in range(0, len(data), ADAPT_BATCH))


def _whitening_matrix(covariance: np.ndarray, epsilon: float) -> np.ndarray:
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues, 0)  # those that are zero may come out slightly below
    return (vectors / np.sqrt(eigenvalues + epsilon)) @ vectors.T
