"""How much memory a network's activations take, from its graph alone.

Weights, gradients, the optimizer's state and the scratch space of convolutions come on top.
"""

import math

import keras
import tensorflow as tf
from keras import KerasTensor

from cnnlab.models.cost import CONVOLUTIONS, SEPARABLE, TRANSPOSED, tensor_bytes
from cnnlab.models.layers import BatchNormalization, LocalResponseNormalization

VIEWS = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Identity)
"""Their output is their input's memory under another shape."""

DROPOUT = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
"""Nothing happens in them but in training, which keeps a mask of one byte per value."""

ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.ELU, keras.layers.Softmax)
"""They may overwrite an input that nothing else reads."""

INPUT_ONLY = (
    *CONVOLUTIONS,
    *SEPARABLE,
    *TRANSPOSED,
    keras.layers.Dense,
    keras.layers.BatchNormalization,
    keras.layers.LeakyReLU,
)
"""Layers whose gradient is computed from their input."""

SHAPE_ONLY = (
    keras.layers.InputLayer,
    keras.layers.Add,
    keras.layers.Concatenate,
    keras.layers.ZeroPadding2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    *VIEWS,
)
"""Layers whose gradient needs no values at all."""

FLOAT32 = (keras.layers.BatchNormalization, LocalResponseNormalization)
"""Layers that compute, and keep, float32 whatever the precision; but see `_keeps_float32`."""

FROM_INPUT = ("gelu", "silu", "leaky_relu")
"""Activations whose gradient is computed from their input; the others' from their output."""


def inference_bytes(network: keras.Model, batch_size: int) -> int:
    """The most memory that activations occupy at once when a batch passes through, in bytes.

    A tensor lives from the layer that makes it to the last one that reads it.
    """
    layers = network.operations
    storage = _share_storage(network, idle=VIEWS + DROPOUT, overwriting=ACTIVATIONS)
    born: dict[int, int] = {}
    last_read: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for position, layer in enumerate(layers):
        output = storage[id(layer.output)]
        born.setdefault(output, position)
        sizes.setdefault(output, tensor_bytes(layer.output, batch_size))
        for tensor in [*_inputs(layer), layer.output]:
            last_read[storage[id(tensor)]] = position
    for output in network.outputs:
        last_read[storage[id(output)]] = len(layers)
    return max(
        sum(sizes[tensor] for tensor in sizes if born[tensor] <= position <= last_read[tensor])
        for position in range(len(layers))
    )


def training_bytes(network: keras.Model, batch_size: int) -> int:
    """The memory of all that the forward pass keeps for the backward pass, in bytes, each tensor once."""
    storage = _share_storage(network, idle=VIEWS, overwriting=())
    kept = {}
    for layer in network.operations:
        for tensor in _kept(layer):
            value_bytes = 4 if _keeps_float32(layer) else tf.as_dtype(tensor.dtype).size
            kept[storage[id(tensor)], value_bytes] = math.prod(tensor.shape[1:]) * value_bytes
    masks = sum(math.prod(layer.output.shape[1:]) for layer in network.operations if isinstance(layer, DROPOUT))
    return batch_size * (sum(kept.values()) + masks)


def _share_storage(network: keras.Model, idle: tuple[type, ...], overwriting: tuple[type, ...]) -> dict[int, int]:
    """Which memory each tensor lies in, both by `id`: that of the first tensor that lay there."""
    readers: dict[int, int] = {}
    for layer in network.operations:
        for tensor in _inputs(layer):
            readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    storage: dict[int, int] = {}
    for layer in network.operations:
        output = id(layer.output)
        first = id(next(iter(_inputs(layer)), layer.output))
        shares = isinstance(layer, idle) or (isinstance(layer, overwriting) and readers[first] == 1)
        storage[output] = storage[first] if shares else output
    return storage


def _kept(layer: keras.layers.Layer) -> list[KerasTensor]:
    """The tensors from which a layer's gradient is computed; where that is unknown, input and output."""
    if isinstance(layer, SHAPE_ONLY + DROPOUT):
        return []
    if isinstance(layer, ACTIVATIONS):
        function = getattr(getattr(layer, "activation", None), "__name__", "")
        return _inputs(layer) if function in FROM_INPUT else [layer.output]
    if isinstance(layer, INPUT_ONLY) and getattr(layer, "activation", None) in (None, keras.activations.linear):
        return _inputs(layer)
    return [*_inputs(layer), layer.output]


def _keeps_float32(layer: keras.layers.Layer) -> bool:
    """Whether a layer's gradient is computed from float32 copies; the fused batch normalisation needs none."""
    fused = isinstance(layer, BatchNormalization) and len(layer.output.shape) == 4
    return isinstance(layer, FLOAT32) and not fused


def _inputs(layer: keras.layers.Layer) -> list[KerasTensor]:
    """What a layer reads in the graph; nothing for the graph's inputs."""
    return [] if isinstance(layer, keras.layers.InputLayer) else keras.tree.flatten(layer.input)
