"""Choosing layers and channels of a network, and what these layers return."""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.models.graph import run_graph

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)


def computing_layers(network: keras.Model) -> dict[str, keras.Layer]:
    """The layers that a network computes with, nested ones too, by name, in the order of computation."""
    found: dict[str, keras.Layer] = {}
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found |= computing_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            found[layer.name] = layer
    return found


def convolutions(network: keras.Model) -> list[str]:
    """The names of the convolutional layers, in the order of computation.

    Raises:
        UserError: there is none.
    """
    layers = computing_layers(network)
    names = [name for name, layer in layers.items() if isinstance(layer, CONVOLUTIONS)]
    if not names:
        raise UserError(f"{network.name}: has no convolution to look at; its layers are {', '.join(layers)}")
    return names


def choose_layers(network: keras.Model, names: Sequence[str], key: str = "method.layers") -> list[keras.Layer]:
    """The layers of these names.

    Args:
        names: of layers, nested ones too.
        key: of the configuration that gave them.

    Raises:
        UserError: there is no such layer.
    """
    known = computing_layers(network)
    for name in names:
        if name not in known:
            raise UserError(
                f"{key}={name}: no such layer{did_you_mean(name, known)}; the layers are {', '.join(known)}"
            )
    return [known[name] for name in names]


def activated(network: keras.Model, name: str) -> str:
    """The layer that holds the activations of layer `name`: `name_act` where the network has one, else itself."""
    return f"{name}_act" if f"{name}_act" in computing_layers(network) else name


def check_channels(channels: Sequence[int], layer: str, count: int, key: str) -> None:
    """Check that a layer has these channels.

    Raises:
        UserError: it has not.
    """
    for channel in channels:
        if not 0 <= channel < count:
            raise UserError(f"{key}={channel}: {layer} has {count} channels, numbered from 0 to {count - 1}")


def layer_outputs(
    network: keras.Model, names: Sequence[str]
) -> Callable[[tf.Tensor], tuple[Mapping[str, tf.Tensor], tf.Tensor]]:
    """A function that evaluates a network and keeps what some of its layers return.

    Args:
        network: from pixels to logits.
        names: of the layers.

    Returns:
        A function from inputs (n, H, W, C) to the outputs by layer name (of a layer used several times, the last) and
        the network's logits (n, K). It is differentiable, and may be traced.
    """

    def evaluate(inputs: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        kept: dict[str, tf.Tensor] = {}

        def visit(operation: keras.Operation, _: tf.Tensor, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
            output = compute()
            if operation.name in names:
                kept[operation.name] = output
            return output

        logits = run_graph(network, inputs, visit)[0]
        return kept, logits

    return evaluate
