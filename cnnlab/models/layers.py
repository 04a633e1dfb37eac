"""The layers Keras lacks or computes slowly; `import cnnlab` makes them known to Keras, as "cnnlab>NAME"."""

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

REGISTRY = "cnnlab"
ADAPT_BATCH = 1024


@keras.saving.register_keras_serializable(package=REGISTRY)
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation of maps (N, H, W, C), through TensorFlow's fused operation.

    The same numbers, arguments and weights; statistics are summed in float32 whatever the precision. Keras
    makes the step out of some twenty element-wise operations in float32, of which each passes over all of the
    maps: several times the fused operation's time, where a step is bound by memory. What the fused
    operation cannot do (other axes, masks, synchronised or renormalised statistics) is left to Keras.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        last = self.axis in (-1, len(inputs.shape) - 1)
        if len(inputs.shape) != 4 or not last or mask is not None or self.synchronized or self.renorm:
            return super().call(inputs, training=training, mask=mask)
        channels = (inputs.shape[-1],)
        learn = bool(training) and self.trainable
        empty = tf.zeros((0,))
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value if self.scale else tf.ones(channels),
            offset=self.beta.value if self.center else tf.zeros(channels),
            mean=empty if learn else self.moving_mean.value,
            variance=empty if learn else self.moving_variance.value,
            epsilon=self.epsilon,
            is_training=learn,
        )
        if learn:
            self._follow(mean, variance, tf.size(inputs) // channels[0])
        return outputs

    def _follow(self, mean: tf.Tensor, variance: tf.Tensor, values: tf.Tensor) -> None:
        """Move the statistics towards those of a batch with so many values per channel."""
        values = tf.cast(values, variance.dtype)
        biased = variance * (values - 1) / values  # the operation divides by values - 1, Keras by values
        for moving, current in ((self.moving_mean, mean), (self.moving_variance, biased)):
            moving.assign(moving.value * self.momentum + current * (1 - self.momentum))


@keras.saving.register_keras_serializable(package=REGISTRY)
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each activation by a power of the energy of its neighbours in the channel direction.

    output = input / (bias + alpha * sum of squares over 2 * depth_radius + 1 channels) ** beta

    After Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks" (2012), section 3.3, in the form of `tf.nn.local_response_normalization`: alpha is not divided
    by the window's size, as it is in Caffe. Computed in float32 whatever the layer's precision, because the
    sums lose too much in fewer bits (and TensorFlow has no bfloat16 kernel on CPUs).

    Args:
        depth_radius: channels to either side that count.
        bias: offset, greater than 0.
        alpha: weight of the sum of squares.
        beta: exponent.

    Input and output: (N, H, W, C) in the layer's compute dtype.
    """

    def __init__(
        self, depth_radius: int = 2, bias: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.depth_radius = depth_radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = tf.nn.local_response_normalization(
            tf.cast(inputs, tf.float32), self.depth_radius, self.bias, self.alpha, self.beta
        )
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "depth_radius": self.depth_radius,
            "bias": self.bias,
            "alpha": self.alpha,
            "beta": self.beta,
        }


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

    def build(self, input_shape: tuple[int | None, ...]) -> None:
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
        count, total, products = 0, 0.0, 0.0
        for batch in _batches(data):
            if not self.built:
                self.build((None, *batch.shape[1:]))
            flat = np.asarray(batch, np.float64).reshape(len(batch), -1)
            count += len(flat)
            total += flat.sum(axis=0)
            products += flat.T @ flat
        mean = total / count
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


def _batches(data: np.ndarray | Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    """`data` itself, or where it is one array, slices of it."""
    if not isinstance(data, np.ndarray):
        return data
    return (data[start : start + ADAPT_BATCH] for start in range(0, len(data), ADAPT_BATCH))


def _whitening_matrix(covariance: np.ndarray, epsilon: float) -> np.ndarray:
    eigenvalues, vectors = scipy.linalg.eigh(covariance)
    eigenvalues = np.maximum(eigenvalues, 0)  # those that are zero may come out slightly below
    return (vectors / np.sqrt(eigenvalues + epsilon)) @ vectors.T
