"""How a training would start: what each layer makes of a batch, and what comes back, before any update."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.models.cost import CONVOLUTIONS, SEPARABLE, TRANSPOSED
from cnnlab.models.graph import in_float32, linear, run_graph

KERNEL_LAYERS = (*CONVOLUTIONS, *SEPARABLE, *TRANSPOSED, keras.layers.Dense)
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)


@dataclass(frozen=True)
class LayerStart:
    """One use of a layer that has a kernel, or of an activation layer.

    Attributes:
        name, type: of the layer.
        mean, variance: of its output, over images, positions and channels; of a layer that has an activation
            function inside, before that.
        gradient_variance: of the derivative of an image's loss by that output; None where the loss does not
            depend on it, as in an auxiliary head.
        dead: the share of units, channels of a map or values of a vector, that are zero for every image and at
            every position after the activation; None without an activation.
    """

    name: str
    type: str
    mean: float
    variance: float
    gradient_variance: float | None
    dead: float | None


@dataclass(frozen=True)
class Start:
    """The start of a training with one initializer.

    Attributes:
        initializer: its name.
        loss: mean cross-entropy of the batch, in nats, of the first head.
        chance_loss: ln(classes), the loss of equal probabilities.
        layers: in the order of evaluation.
    """

    initializer: str
    loss: float
    chance_loss: float
    layers: list[LayerStart]


def measure_start(initializer: str, network: keras.Model, images: np.ndarray, labels: np.ndarray) -> Start:
    """Pass a batch forward and backward, as the first step of a training would, without dropout and in float32.

    Args:
        initializer: the name of what the network was initialised with.
        network: functional model that returns logits, those that count first; not changed.
        images: float32 (n, H, W, C), as they reach the network.
        labels: (n,) class indices.
    """
    uses: list[tuple[keras.Layer, tf.Tensor, float | None]] = []

    def visit(operation: keras.Operation, inputs: Any, compute: Callable[[], Any]) -> Any:
        if isinstance(operation, KERNEL_LAYERS):
            with linear(operation) as activation:
                output = compute()
            activated = activation(output)
            uses.append((operation, output, None if activation is keras.activations.linear else _dead(activated)))
            return activated
        output = compute()
        if isinstance(operation, ACTIVATIONS):
            uses.append((operation, output, _dead(output)))
        return output

    batch = tf.constant(images)
    with in_float32(network), tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(batch)  # so that everything computed from it is recorded, frozen or not
        losses = _crossentropy(labels, run_graph(network, batch, visit, batch_statistics=True)[0])
    gradients = tape.gradient(losses, [output for _, output, _ in uses])
    return Start(
        initializer=initializer,
        loss=float(tf.reduce_mean(losses)),
        chance_loss=log(max(2, network.outputs[0].shape[-1])),
        layers=[
            LayerStart(
                name=layer.name,
                type=type(layer).__name__,
                mean=float(tf.reduce_mean(output)),
                variance=_variance(output),
                gradient_variance=None if gradient is None else _variance(gradient),
                dead=dead,
            )
            for (layer, output, dead), gradient in zip(uses, gradients, strict=True)
        ],
    )


def print_starts(starts: Sequence[Start], console: Console) -> None:
    """Print, for every layer, a line per initializer, and their first losses."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="before the first update", title_justify="left")
    table.add_column("layer", overflow="fold")
    table.add_column("initializer", overflow="fold")
    for heading in ("mean", "variance", "gradient variance", "dead"):
        table.add_column(heading, justify="right")
    for uses in zip(*(start.layers for start in starts), strict=True):
        for number, (start, use) in enumerate(zip(starts, uses, strict=True)):
            table.add_row(
                "" if number else use.name,
                start.initializer,
                f"{use.mean:.3g}",
                f"{use.variance:.3g}",
                "-" if use.gradient_variance is None else f"{use.gradient_variance:.3g}",
                "" if use.dead is None else f"{use.dead:.1%}",
            )
    console.print(table)
    losses = ", ".join(f"{start.initializer} {start.loss:.4f}" for start in starts)
    console.print(f"first loss: {losses}; of equal probabilities: {starts[0].chance_loss:.4f}", highlight=False)


def _crossentropy(labels: np.ndarray, logits: tf.Tensor) -> tf.Tensor:
    if logits.shape[-1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits[:, 0])
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _dead(output: tf.Tensor) -> float:
    zero = tf.reduce_all(output == 0, axis=range(len(output.shape) - 1))
    return float(tf.reduce_mean(tf.cast(zero, tf.float32)))


def _variance(values: tf.Tensor) -> float:
    return float(tf.math.reduce_variance(values))
