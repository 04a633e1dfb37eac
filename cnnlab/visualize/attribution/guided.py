"""The gradient of a class score that only passes back what is positive."""

from collections.abc import Callable

import keras
import tensorflow as tf

from cnnlab.errors import UserError
from cnnlab.models.graph import run_graph
from cnnlab.models.receptive_field import ACTIVATION_OPERATIONS
from cnnlab.visualize.attribution.gradients import class_gradients
from cnnlab.visualize.layers import operations, require_graph

OTHERS = (keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
"""Activation layers that are no ReLU."""


def guided_backprop(network: keras.Model, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The gradient of the class score with negative parts cut off at every ReLU on the way back, after Springenberg,
    Dosovitskiy, Brox and Riedmiller, "Striving for simplicity" (2014), section 3.4.

    Other activations keep their gradient.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).

    Returns:
        Float32 (n, H, W, C), signed.
    """

    def visit(operation: keras.Operation, _: tf.Tensor, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
        output = compute()
        return _cut_negative_gradients(output) if is_relu(operation) else output

    return class_gradients(lambda pixels: run_graph(network, pixels, visit)[0], images, classes)


def require_relu(network: keras.Model) -> list[str]:
    """Check that a network has a ReLU, as a layer, as the last step of another, or as an operation of its graph.

    Returns:
        The layers and operations with other activations, such as "conv3 (gelu)".

    Raises:
        UserError: there is none, or some are hidden.
    """
    require_graph(network)  # inside, gradients would pass unguided
    known = operations(network)
    found = {name: _activation(operation) for name, operation in known.items() if not is_relu(operation)}
    others = {name: function for name, function in found.items() if function}
    if not any(map(is_relu, known.values())):
        having = f"only {', '.join(sorted(set(others.values())))}" if others else "and no other activation"
        raise UserError(
            f"method=guided_backprop: the network has no ReLU to guide through, {having}; use method=saliency"
        )
    return [f"{name} ({function})" for name, function in others.items()]


def is_relu(operation: keras.Operation) -> bool:
    """Whether an operation ends in max(x, 0), possibly with an upper limit."""
    kind = type(operation).__name__
    if isinstance(operation, keras.layers.ReLU) or kind == "ReLU":  # the latter is what keras.activations.relu adds
        return not operation.negative_slope and not operation.threshold
    if isinstance(operation, keras.layers.Layer):
        return _activation(operation) in ("relu", "relu6")
    return kind in ("Relu", "Relu6")  # keras.ops.relu on a model's tensors; the class is private


def _activation(operation: keras.Operation) -> str | None:
    """The name of an operation's activation function; None where it has none, or a linear one."""
    kind = type(operation).__name__
    if kind == "ReLU":
        return "relu with a slope or threshold"
    if isinstance(operation, OTHERS) or kind in ACTIVATION_OPERATIONS:
        return kind.lower()
    function = getattr(operation, "activation", None)
    name = getattr(function, "__name__", None) or (type(function).__name__ if function else None)
    return None if name == "linear" else name


@tf.custom_gradient
def _cut_negative_gradients(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Return x; of the gradient that comes back, only what is positive goes on."""
    return tf.identity(x), tf.nn.relu
