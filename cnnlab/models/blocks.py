"""What the networks are made of: layers with the options that every model has, named alike in all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import KerasTensor

from cnnlab.errors import UserError
from cnnlab.models.layers import BatchNormalization, GroupedConv2D

Activation = Literal["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh"]
Padding = Literal["valid", "same"]
Pooling = Literal["max", "average"]

BATCH_NORM_MOMENTUM = 0.9
"""Of the moving statistics, as PyTorch's: with Keras's 0.99 they are those of the start after a few hundred updates."""


class Collapsed(UserError):
    """A layer finds fewer pixels than its window needs.

    Attributes:
        layer: the layer's name.
        height, width: the map it was given, in pixels.
    """

    def __init__(self, layer: str, height: int, width: int):
        super().__init__(f"layer {layer} cannot work on a map of {height}x{width} pixels")
        self.layer = layer
        self.height = height
        self.width = width


@dataclass(frozen=True)
class Blocks:
    """Makes the layers of one network.

    A block called `conv1` consists of the layers `conv1` (linear: its output is the pre-activation),
    `conv1_bn`, `conv1_act` and `conv1_dropout`, as far as they are asked for.

    Attributes:
        activation: a function of keras.activations, or one of our own that is registered with Keras, after
            every hidden layer; None leaves the layers without.
        batch_norm: normalise each batch between a hidden layer and its activation; the layer then has no
            bias, since normalisation would take it away again.
        l2: adds l2 · sum(kernel²) to the loss, for every kernel. This is keras.regularizers.L2; a paper
            that writes λ/2 · w² means l2 = λ/2.
        kernel_initializer: a Keras initializer's name, so that each layer draws from a seed of its own.
        bias_initializer: the same for biases, or the value they all start from.
        gamma_initializer: the same for the factors of batch normalisation.
    """

    activation: Activation | Callable[[KerasTensor], KerasTensor] | None = "relu"
    batch_norm: bool = False
    l2: float = 0.0
    kernel_initializer: str = "glorot_uniform"
    bias_initializer: str | float = "zeros"
    gamma_initializer: str = "ones"

    def conv(
        self,
        x: KerasTensor,
        name: str,
        filters: int,
        size: int,
        *,
        strides: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        dropout: float = 0.0,
        linear: bool = False,
    ) -> KerasTensor:
        """Square convolution, then, unless it is to stay linear, the rest of a hidden block.

        Each of the `groups` reads and makes a share of the channels of its own.
        """
        convolution = GroupedConv2D if groups > 1 else keras.layers.Conv2D
        layer = convolution(
            filters,
            size,
            strides=strides,
            padding=padding,
            groups=groups,
            use_bias=linear or not self.batch_norm,
            name=name,
            **self._weights(),
        )
        x = apply(layer, x)
        return x if linear else self._finish(x, name, dropout)

    def dense(self, x: KerasTensor, name: str, units: int, *, dropout: float = 0.0) -> KerasTensor:
        """Fully connected layer on flat inputs, then the rest of a hidden block."""
        layer = keras.layers.Dense(units, name=name, use_bias=not self.batch_norm, **self._weights())
        return self._finish(layer(x), name, dropout)

    def logits(self, x: KerasTensor, num_classes: int, name: str = "logits") -> KerasTensor:
        """The last layer, linear and in float32, since a loss suffers from rounded logits."""
        return keras.layers.Dense(num_classes, name=name, dtype="float32", **self._weights())(x)

    def _finish(self, x: KerasTensor, name: str, dropout: float) -> KerasTensor:
        if self.batch_norm:
            normalization = BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM, gamma_initializer=self.gamma_initializer, name=f"{name}_bn"
            )
            x = normalization(x)
        if self.activation is not None:
            x = keras.layers.Activation(self.activation, name=f"{name}_act")(x)
        return drop(x, f"{name}_dropout", dropout)

    def _weights(self) -> dict[str, Any]:
        bias = self.bias_initializer
        return {
            "kernel_initializer": self.kernel_initializer,
            "bias_initializer": bias if isinstance(bias, str) else keras.initializers.Constant(bias),
            "kernel_regularizer": keras.regularizers.L2(self.l2) if self.l2 else None,
        }


def drop(x: KerasTensor, name: str, rate: float) -> KerasTensor:
    """Dropout, where `rate` is above zero."""
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


def max_pool(x: KerasTensor, name: str, size: int, *, strides: int, padding: Padding = "valid") -> KerasTensor:
    """Square max-pooling."""
    return apply(keras.layers.MaxPooling2D(size, strides=strides, padding=padding, name=name), x)


def average_pool(x: KerasTensor, name: str, size: int, *, strides: int, padding: Padding = "valid") -> KerasTensor:
    """Square average-pooling; padding does not count."""
    return apply(keras.layers.AveragePooling2D(size, strides=strides, padding=padding, name=name), x)


POOLS: dict[Pooling, Callable[..., KerasTensor]] = {"max": max_pool, "average": average_pool}


def apply(layer: keras.layers.Layer, x: KerasTensor) -> KerasTensor:
    """`layer(x)` for a layer that slides a window over maps of shape (N, H, W, C).

    Raises:
        Collapsed: the window does not fit into the map.
    """
    try:
        return layer(x)
    except ValueError as error:
        if "zero or negative" not in str(error):  # Keras says so, but neither which layer nor why
            raise
        raise Collapsed(layer.name, *x.shape[1:3]) from error
