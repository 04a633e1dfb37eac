"""The layers Keras lacks or computes slowly; `import cnnlab` makes them known to Keras, as "cnnlab>NAME"."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

REGISTRY = "cnnlab"


@keras.saving.register_keras_serializable(package=REGISTRY)
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation of feature maps (N, H, W, C), through TensorFlow's fused operation.

    The same numbers, arguments and weights; statistics are summed in float32 whatever the precision. Keras
    makes the step out of some twenty element-wise operations in float32, of which each passes over all of the
    maps: several times the fused operation's time, where a step is bound by memory. What the fused
    operation cannot do (other axes, masks, synchronised or renormalised statistics) is left to Keras.

    Args:
        beta_multiplier: what is added to the normalised feature maps is beta_multiplier · beta, which plain gradient
            descent, with or without momentum, moves beta_multiplier² times as fast as beta itself.
        **kwargs: as for keras.layers.BatchNormalization.
    """

    def __init__(self, beta_multiplier: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.beta_multiplier = beta_multiplier
        if beta_multiplier != 1 and (self.axis != -1 or self.synchronized or self.renorm):
            raise ValueError("beta_multiplier needs the channels last, and neither synchronized nor renorm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.beta_multiplier != 1 and len(input_shape) != 4:
            raise ValueError(f"beta_multiplier needs feature maps (N, H, W, C), not inputs of {len(input_shape)} axes")
        super().build(input_shape)

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
            offset=self.beta.value * self.beta_multiplier if self.center else tf.zeros(channels),
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

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"beta_multiplier": self.beta_multiplier}


@keras.saving.register_keras_serializable(package=REGISTRY)
class GroupedConv2D(keras.layers.Conv2D):
    """Keras's Conv2D with `groups`, as one convolution per group: the same numbers, arguments and weights.

    The gradients of TensorFlow's grouped convolution took four cores 7 times as long with AlexNet's two groups, and
    120 times as long with nine groups of four channels.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        parts = (tf.split(tensor, self.groups, axis=-1) for tensor in (inputs, kernel))
        outputs = [
            keras.ops.conv(part, filters, strides=self.strides, padding=self.padding, dilation_rate=self.dilation_rate)
            for part, filters in zip(*parts, strict=True)
        ]
        return tf.concat(outputs, axis=-1)


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
class ChannelSelection(keras.layers.Layer):
    """Picks channels, which may repeat.

    Before a grouped convolution, each of whose groups reads channels of its own, it makes any table of
    connections between maps.

    Args:
        channels: positions of the channels, in the order in which they are returned.

    Input (N, H, W, C), output (N, H, W, len(channels)).
    """

    def __init__(self, channels: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = list(channels)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.gather(inputs, self.channels, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], len(self.channels))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"channels": self.channels}


@keras.saving.register_keras_serializable(package=REGISTRY)
class NegativeSquaredDistance(keras.layers.Layer):
    """Minus the squared Euclidean distance to each of some fixed points: 0 at the point, below 0 elsewhere.

    Its softmax are the probabilities of normal distributions of variance 1/2 around the points.

    Args:
        points: the coordinates of each point; no weights, so they are neither counted nor trained.

    Input (N, D), output (N, len(points)).
    """

    def __init__(self, points: Sequence[Sequence[float]], **kwargs: Any):
        super().__init__(**kwargs)
        self.points = [list(point) for point in points]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        differences = inputs[:, tf.newaxis] - tf.constant(self.points, inputs.dtype)
        return -tf.reduce_sum(tf.square(differences), axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], len(self.points))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"points": self.points}


@keras.saving.register_keras_serializable(package=REGISTRY)
def scaled_tanh(x: tf.Tensor) -> tf.Tensor:
    """1.7159 tanh(2x/3), which maps 1 to 1 and -1 to -1, where it is bent the most.

    After LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition" (1998),
    appendix A.
    """
    return 1.7159 * keras.ops.tanh(x * (2 / 3))
