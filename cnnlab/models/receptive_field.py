"""Which input pixels a unit of a layer can see, from the network's graph alone."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import keras
from keras import tree

from cnnlab.models.backbones import BackbonePreprocessing
from cnnlab.models.graph import walk
from cnnlab.models.layers import ChannelSelection, LocalResponseNormalization
from cnnlab.models.operation_names import operation_names
from cnnlab.models.whitening import PatchWhitening, ZCAWhitening

log = logging.getLogger(__name__)

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
POOLINGS = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)

ALIKE_IN_USE = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.Identity,
)
"""Layers that, but in training, give what they take."""

POINTWISE = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    *ALIKE_IN_USE,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    BackbonePreprocessing,
    ChannelSelection,
    LocalResponseNormalization,
)
"""What they return at a position of feature maps depends on their inputs at this position only."""

OVER_CHANNELS = (keras.layers.Softmax, keras.layers.LayerNormalization, keras.layers.Concatenate)
"""So does what these return, where their axis is that of the channels."""

# fmt: off
ACTIVATION_OPERATIONS = frozenset((
    "Celu", "Elu", "Gelu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "LogSigmoid", "Mish",
    "ReLU", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "SoftShrink", "Softplus", "Softsign", "SparsePlus",
    "SparseSigmoid", "Squareplus", "Tanh", "TanhShrink", "Threshold",
))
"""Activation functions of keras.ops and keras.activations in a graph; their classes are private."""

POINTWISE_OPERATIONS = ACTIVATION_OPERATIONS | frozenset((
    "Abs", "Absolute", "Add", "Cast", "Clip", "Divide", "Exp", "Maximum", "Minimum", "Multiply", "Negative", "Sqrt",
    "Square", "Subtract", "TrueDivide", "LayerScale", "StochasticDepth",
))
# fmt: on
"""The same for what has no public class: keras.ops in a graph, and layers of keras.applications."""

EVERYTHING = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    ZCAWhitening,
)


@dataclass(frozen=True)
class Span:
    """The pixels seen along one axis: unit i sees from offset + stride·i up to, not including, that plus size.

    In pixels of the network's input. Fractions arise behind layers that enlarge maps. Pixels that lie outside the
    image are padding.
    """

    offset: Fraction
    stride: Fraction
    size: Fraction

    def clip(self, position: int, length: int) -> tuple[int, int]:
        """The first pixel that the unit at `position` sees, and the one after the last, of an image so long."""
        first = self.offset + self.stride * position
        return min(max(0, math.floor(first)), length), max(0, min(length, math.ceil(first + self.size)))


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that the units of a map can see: a box for each position, the same for all channels.

    Units without a position, such as those of a dense layer behind a `Flatten`, have stride 0 and see the whole image.
    """

    rows: Span
    columns: Span

    def box(self, position: tuple[int, int], image_shape: Sequence[int]) -> tuple[int, int, int, int]:
        """What the unit at (row, column) sees of an image (height, width, …): top, bottom, left, right.

        Bottom and right are the first that it does not see.
        """
        return *self.rows.clip(position[0], image_shape[0]), *self.columns.clip(position[1], image_shape[1])

    def map_axes(self, change: Callable[[Span, int], Span]) -> "ReceptiveField":
        """The field with both axes (0 and 1) changed."""
        return ReceptiveField(change(self.rows, 0), change(self.columns, 1))


def receptive_fields(network: keras.Model) -> dict[str, ReceptiveField]:
    """The receptive fields of all layers of a functional model, nested ones too.

    After Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks" (2019), extended to
    padding as TensorFlow does it, unequal on both sides. Where branches meet, the field is the smallest box around all
    of theirs. A layer of a kind that is not known here is named in a warning, and taken to see everything.

    Args:
        network: from images (N, H, W, C) of a fixed size; maps have their channels last.

    Returns:
        Fields by the name of the layer (see `operation_names`), in the order of computation; of a layer used several
        times, the last.

    Raises:
        ValueError: the network, or a layer whose padding depends on the size of its input, is built for any size.
    """
    shape = network.inputs[0].shape
    if None in shape[1:3]:
        raise ValueError(f"{network.name} is built for any size of image, which receptive fields depend on")
    whole = ReceptiveField(*(Span(Fraction(0), Fraction(0), Fraction(length)) for length in shape[1:3]))
    names = operation_names(network)
    fields: dict[str, ReceptiveField] = {}

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: bool) -> list[ReceptiveField]:
        given = [field for field in tree.flatten((args, kwargs)) if isinstance(field, ReceptiveField)]
        field = _field(node, given, whole)
        fields[names[node.operation]] = field
        return [field] * len(node.outputs)

    pixel = Span(Fraction(0), Fraction(1), Fraction(1))
    walk(network, [ReceptiveField(pixel, pixel) for _ in network.inputs], evaluate)
    return fields


def _field(node: Any, given: list[ReceptiveField], whole: ReceptiveField) -> ReceptiveField:
    operation, before, after = node.operation, node.input_tensors[0].shape, node.outputs[0].shape
    if len(before) != 4 or len(after) != 4 or isinstance(operation, EVERYTHING):
        return whole
    change = _change(operation, before, after)
    if change is not None:
        return given[0].map_axes(change)
    if not _is_pointwise(operation):
        if given[0] != whole:
            log.warning("%s: unknown kind of layer, %s; taken to see all", operation.name, type(operation).__name__)
        return whole
    shapes = [symbol.shape for symbol in node.input_tensors]
    aligned = [_broadcast(field, shape, after) for field, shape in zip(given, shapes, strict=True)]
    return reduce(lambda first, second: _union(first, second, whole), aligned)


def _is_pointwise(operation: keras.Operation) -> bool:
    if isinstance(operation, OVER_CHANNELS):
        return operation.axis in (-1, 3, [-1], [3])
    return isinstance(operation, POINTWISE) or type(operation).__name__ in POINTWISE_OPERATIONS


def _change(
    operation: keras.Operation, before: tuple[Any, ...], after: tuple[Any, ...]
) -> Callable[[Span, int], Span] | None:
    """What a layer that moves or widens the field does to the span of an axis (0: rows, 1: columns)."""
    if isinstance(operation, keras.layers.Conv2DTranspose):
        return lambda span, axis: _enlarged(
            span,
            operation.dilation_rate[axis] * (operation.kernel_size[axis] - 1) + 1,
            operation.strides[axis],
            operation.padding,
            (before[axis + 1], after[axis + 1]),
        )
    if isinstance(operation, PatchWhitening):
        return lambda span, axis: _window(span, operation.size, 1, 0)
    if isinstance(operation, CONVOLUTIONS + POOLINGS):
        return lambda span, axis: _sliding(operation, span, axis, before[axis + 1])
    if isinstance(operation, keras.layers.UpSampling2D) and operation.interpolation == "nearest":
        return lambda span, axis: _enlarged(span, operation.size[axis], operation.size[axis], "valid", (0, 0))
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return lambda span, axis: _window(span, 1, 1, operation.padding[axis][0])
    if isinstance(operation, keras.layers.Cropping2D):
        return lambda span, axis: _window(span, 1, 1, -operation.cropping[axis][0])
    return None


def _sliding(layer: keras.Layer, span: Span, axis: int, length: int | None) -> Span:
    pools = isinstance(layer, POOLINGS)
    size = layer.pool_size[axis] if pools else layer.dilation_rate[axis] * (layer.kernel_size[axis] - 1) + 1
    stride = layer.strides[axis]
    if layer.padding == "valid":
        return _window(span, size, stride, 0)
    if length is None and stride > 1:
        raise ValueError(f"{layer.name} is built for any size of image, which receptive fields depend on")
    padding = size - 1 if stride == 1 else max((math.ceil(length / stride) - 1) * stride + size - length, 0)
    return _window(span, size, stride, padding // 2)


def _window(span: Span, size: int, stride: int, before: int) -> Span:
    """Units that see `size` units of the span's, starting `before` the first, `stride` apart."""
    return Span(span.offset - before * span.stride, stride * span.stride, span.size + (size - 1) * span.stride)


def _enlarged(span: Span, size: int, stride: int, padding: str, lengths: tuple[int, int]) -> Span:
    """Units, `stride` times as dense as the span's, each of which was written to by the kernels of some of these.

    How many depends on its position; the box is for the most.
    """
    few, many = lengths
    before = max((few - 1) * stride + size - many, 0) // 2 if padding == "same" else 0
    first = Fraction(before - size + 1, stride)
    reach = Fraction(size - 1, stride)
    return Span(span.offset + first * span.stride, span.stride / stride, span.size + reach * span.stride)


def _broadcast(field: ReceptiveField, shape: tuple[Any, ...], after: tuple[Any, ...]) -> ReceptiveField:
    """The field of an input whose only row or column serves all of the output's."""

    def serve(span: Span, axis: int) -> Span:
        alone = shape[axis + 1] == 1 and after[axis + 1] != 1
        return Span(span.offset, Fraction(0), span.size) if alone else span

    return field.map_axes(serve)


def _union(first: ReceptiveField, second: ReceptiveField, whole: ReceptiveField) -> ReceptiveField:
    def join(one: Span, other: Span, everything: Span) -> Span:
        if one.stride != other.stride:
            return everything
        offset = min(one.offset, other.offset)
        return Span(offset, one.stride, max(one.offset + one.size, other.offset + other.size) - offset)

    return ReceptiveField(join(first.rows, second.rows, whole.rows), join(first.columns, second.columns, whole.columns))
