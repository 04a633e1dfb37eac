"""What a network costs: parameters, multiply-accumulates (MACs) and memory, layer by layer, from its graph alone."""

import logging
import math
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import KerasTensor

from cnnlab.models.graph import Use, function_of, uses, uses_inside
from cnnlab.models.whitening import PatchWhitening

log = logging.getLogger(__name__)

# Layers that multiply each output position by the whole kernel (its channel axis holds one group's inputs).
CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    PatchWhitening,
)
SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
COUNTED = (*CONVOLUTIONS, *SEPARABLE, *TRANSPOSED, keras.layers.Dense)

WITHOUT_PRODUCTS = (
    keras.layers.Embedding,
    keras.layers.PReLU,
    keras.layers.Normalization,
    keras.layers.LayerNormalization,
)
"""Layers whose weights may have several axes, and are no kernels."""


@dataclass(frozen=True)
class LayerCost:
    """One layer's share.

    Attributes:
        name, type: of the layer.
        output_shape: without the batch axis; of the first output, and the first use.
        params: number of weights, trainable or not.
        macs: multiply-accumulate operations per image of all uses; see `count_macs`.
        batch_activation_bytes: size of all outputs for the whole batch, in the precision they are computed in.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    batch_activation_bytes: int


def layer_costs(network: keras.Model, batch_size: int) -> list[LayerCost]:
    """The costs of all layers of a functional model, inputs first.

    Layers whose MACs are not counted are named in warnings: those hidden in a subclassed model or a composite layer,
    and other kinds of layers with a kernel.
    """
    unknown = [layer.name for layer in network.layers if _is_unknown(layer)]
    if unknown:
        log.warning("%s: MACs are not counted in layers of such a kind", ", ".join(unknown))
    hiding = [layer.name for layer in network.layers if _hides_layers(layer)]
    if hiding:
        log.warning(
            "%s: the MACs and activations of the layers inside are not counted; only a functional model "
            "shows how they are used",
            ", ".join(hiding),
        )
    found: dict[keras.Operation, list[Use]] = {}
    for use in uses(network):
        found.setdefault(use.operation, []).append(use)
    return [
        LayerCost(
            name=layer.name,
            type=type(layer).__name__,
            output_shape=tuple(found[layer][0].outputs[0].shape[1:]),
            params=layer.count_params(),
            macs=sum(map(count_macs, found[layer])),
            batch_activation_bytes=sum(
                tensor_bytes(output, batch_size) for use in found[layer] for output in use.outputs
            ),
        )
        for layer in network.layers
    ]


def count_macs(use: Use) -> int:
    """Multiply-accumulate operations of one use of a layer in the forward pass for one image.

    Counted as the literature does: the products with the kernels of convolutions and dense layers, padding
    included; not biases, activations, pooling or normalisation.
    """
    layer, output = use.operation, use.outputs[0]
    if isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense)):
        return _positions(output) * math.prod(layer.kernel.shape)
    if isinstance(layer, SEPARABLE):
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return _positions(output) * kernels
    if isinstance(layer, TRANSPOSED):  # the other way round: each input position meets the whole kernel
        return _positions(use.inputs[0]) * math.prod(layer.kernel.shape)
    if function_of(layer) is not None:
        return sum(map(count_macs, uses_inside(layer)[0]))
    return 0


def _hides_layers(layer: keras.layers.Layer) -> bool:
    """Whether layers that count are inside of one that does not tell how it uses them."""
    if function_of(layer) is not None:
        return any(_hides_layers(inner) for inner in layer.layers)
    inside = layer._flatten_layers(include_self=False)
    return any(isinstance(inner, COUNTED) or _has_kernel(inner) for inner in inside)


def _is_unknown(layer: keras.layers.Layer) -> bool:
    """Whether it is, or a functional model has, a layer with a kernel whose products `count_macs` does not know."""
    if function_of(layer) is not None:
        return any(_is_unknown(inner) for inner in layer.layers)
    return not isinstance(layer, COUNTED) and not _hides_layers(layer) and _has_kernel(layer)


def _has_kernel(layer: keras.layers.Layer) -> bool:
    """Whether a layer that holds no others seems to multiply by weights, which then have two axes or more."""
    return not isinstance(layer, WITHOUT_PRODUCTS) and any(len(weight.shape) > 1 for weight in layer.weights)


def tensor_bytes(tensor: KerasTensor, batch_size: int) -> int:
    """Size of a graph's tensor at a batch size."""
    return batch_size * math.prod(tensor.shape[1:]) * tf.as_dtype(tensor.dtype).size


def _positions(tensor: KerasTensor) -> int:
    """How often a kernel is applied: the pixels of a feature map; 1 for a flat tensor."""
    return math.prod(tensor.shape[1:-1])
