"""How much memory a network's activations take, from its graph alone.

Weights, gradients, the optimizer's state and the scratch space of convolutions come on top.
"""

import math
from collections import Counter

import keras
import tensorflow as tf
from keras import KerasTensor

from cnnlab.models.cost import COUNTED, tensor_bytes
from cnnlab.models.graph import Use, uses_inside
from cnnlab.models.layers import BatchNormalization, LocalResponseNormalization

VIEWS = (keras.layers.Flatten, keras.layers.Reshape, keras.layers.Identity)
"""Their output is their input's memory under another shape."""

DROPOUT = (keras.layers.Dropout, keras.layers.SpatialDropout2D)
"""Nothing happens in them but in training, which keeps a mask of one byte per value."""

ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.ELU, keras.layers.Softmax)
"""They may overwrite an input that nothing else reads."""

INPUT_ONLY = (*COUNTED, keras.layers.BatchNormalization, keras.layers.LeakyReLU)
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
    uses, outputs = uses_inside(network)
    storage = _share_storage(uses, idle=VIEWS + DROPOUT, overwriting=ACTIVATIONS)
    born: dict[int, int] = {}
    last_read: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for position, use in enumerate(uses):
        for output in use.outputs:
            born.setdefault(storage[id(output)], position)
            sizes.setdefault(storage[id(output)], tensor_bytes(output, batch_size))
        for tensor in [*use.inputs, *use.outputs]:
            last_read[storage[id(tensor)]] = position
    for output in outputs:
        last_read[storage[id(output)]] = len(uses)
    return max(
        sum(sizes[tensor] for tensor in sizes if born[tensor] <= position <= last_read[tensor])
        for position in range(len(uses))
    )


def training_bytes(network: keras.Model, batch_size: int) -> int:
    """The memory of all that the forward pass keeps for the backward pass, in bytes, each tensor once."""
    uses, _ = uses_inside(network)
    storage = _share_storage(uses, idle=VIEWS, overwriting=())
    kept = {}
    for use in uses:
        for tensor in _kept(use):
            value_bytes = 4 if _keeps_float32(use) else tf.as_dtype(tensor.dtype).size
            kept[storage[id(tensor)], value_bytes] = math.prod(tensor.shape[1:]) * value_bytes
    masks = sum(math.prod(use.outputs[0].shape[1:]) for use in uses if isinstance(use.operation, DROPOUT))
    return batch_size * (sum(kept.values()) + masks)


def _share_storage(uses: list[Use], idle: tuple[type, ...], overwriting: tuple[type, ...]) -> dict[int, int]:
    """Which memory each tensor lies in, both by `id`: that of the first tensor that lay there."""
    readers = Counter(id(tensor) for use in uses for tensor in use.inputs)
    storage: dict[int, int] = {}
    for use in uses:
        storage |= {id(output): id(output) for output in use.outputs}
        if not use.inputs:
            continue
        first = id(use.inputs[0])
        if isinstance(use.operation, idle) or (isinstance(use.operation, overwriting) and readers[first] == 1):
            storage[id(use.outputs[0])] = storage[first]
    return storage


def _kept(use: Use) -> list[KerasTensor]:
    """The tensors from which a layer's gradient is computed; where that is unknown, input and output."""
    layer = use.operation
    if isinstance(layer, SHAPE_ONLY + DROPOUT):
        return []
    if isinstance(layer, ACTIVATIONS):
        function = getattr(getattr(layer, "activation", None), "__name__", "")
        return use.inputs if function in FROM_INPUT else use.outputs
    if isinstance(layer, INPUT_ONLY) and getattr(layer, "activation", None) in (None, keras.activations.linear):
        return use.inputs
    return [*use.inputs, *use.outputs]


def _keeps_float32(use: Use) -> bool:
    """Whether a layer's gradient is computed from float32 copies; the fused batch normalisation needs none."""
    fused = isinstance(use.operation, BatchNormalization) and len(use.outputs[0].shape) == 4
    return isinstance(use.operation, FLOAT32) and not fused
