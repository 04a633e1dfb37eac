"""A network as boxes and what leads from one to the next, for drawing."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
from keras import tree

from cnnlab.models.graph import function_of, walk
from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.models.whitening import PatchWhitening

Kind = Literal["input", "convolution", "pooling", "normalization", "activation", "dense", "merge", "other"]

KINDS: dict[Kind, tuple[type, ...]] = {
    "convolution": (
        keras.layers.Conv1D,
        keras.layers.Conv2D,
        keras.layers.Conv3D,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
        keras.layers.Conv2DTranspose,
        PatchWhitening,
    ),
    "pooling": (
        keras.layers.MaxPooling2D,
        keras.layers.AveragePooling2D,
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalMaxPooling2D,
    ),
    "normalization": (
        keras.layers.BatchNormalization,
        keras.layers.LayerNormalization,
        keras.layers.GroupNormalization,
        LocalResponseNormalization,
    ),
    "activation": (
        keras.layers.Activation,
        keras.layers.ReLU,
        keras.layers.LeakyReLU,
        keras.layers.PReLU,
        keras.layers.ELU,
        keras.layers.Softmax,
    ),
    "dense": (keras.layers.Dense,),
    "merge": (
        keras.layers.Add,
        keras.layers.Subtract,
        keras.layers.Multiply,
        keras.layers.Average,
        keras.layers.Maximum,
        keras.layers.Minimum,
        keras.layers.Concatenate,
    ),
}

SHORT = {
    "BatchNormalization": "bn",
    "LayerNormalization": "ln",
    "LocalResponseNormalization": "lrn",
    "Dropout": "dropout",
    "SpatialDropout2D": "dropout",
    "MaxPooling2D": "max",
    "AveragePooling2D": "mean",
    "GlobalAveragePooling2D": "global mean",
    "GlobalMaxPooling2D": "global max",
    "BackbonePreprocessing": "preprocessing",
    "PatchWhitening": "whitening",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
    "Conv2DTranspose": "transposed",
    "GroupedConv2D": "conv",
    "Conv2D": "conv",
}


@dataclass(eq=False)
class Box:
    """A layer with the layers folded into it.

    Attributes:
        name: of the layer.
        kind: of the layer.
        words: what it does, and each layer folded into it.
        shape: of what comes out, without the batch axis.
        parameters: of all of its layers.
        before: the boxes it reads from.
        group: the nested model it belongs to, or "".
    """

    name: str
    kind: Kind
    words: list[str]
    shape: tuple[int | None, ...]
    parameters: int
    before: list["Box"] = field(default_factory=list)
    group: str = ""


def wire(network: keras.Model, *, fold: bool = True) -> list[Box]:
    """The boxes of a functional model, each after those it reads from; nested models are opened.

    Args:
        network: the model.
        fold: show normalisation, activation and dropout as words in the box they follow, if nothing else reads that.
    """
    groups = dict(_groups(network, ""))
    boxes: list[Box] = []
    counted = set()

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: bool) -> list[Box]:
        layer = node.operation
        box = Box(
            name=layer.name,
            kind=kind_of(layer),
            words=[word for word in (_word(layer),) if word],
            shape=tuple(node.outputs[0].shape[1:]),
            parameters=layer.count_params() if isinstance(layer, keras.Layer) and id(layer) not in counted else 0,
            before=list(dict.fromkeys(each for each in tree.flatten((args, kwargs)) if isinstance(each, Box))),
            group=groups.get(id(layer), ""),
        )
        counted.add(id(layer))
        boxes.append(box)
        return [box] * len(node.outputs)

    inputs = [Box(each.name, "input", [], tuple(each.shape[1:]), 0) for each in network.inputs]
    boxes.extend(inputs)
    walk(network, inputs, evaluate)
    return _folded(boxes) if fold else boxes


def kind_of(layer: keras.Operation) -> Kind:
    """What a layer is, for its colour."""
    for kind, classes in KINDS.items():
        if isinstance(layer, classes):
            return kind
    return "merge" if type(layer).__name__ in ("Add", "Subtract", "Multiply") else "other"


def rank(boxes: list[Box]) -> dict[Box, int]:
    """How many boxes lie on the longest way from an input to each box."""
    ranks: dict[Box, int] = {}
    for box in boxes:
        ranks[box] = max((ranks[each] + 1 for each in box.before), default=0)
    return ranks


def _groups(model: keras.Model, name: str) -> Iterator[tuple[int, str]]:
    for layer in model.layers:
        if function_of(layer) is not None:
            yield from _groups(layer, layer.name)
        else:
            yield id(layer), name


def _folded(boxes: list[Box]) -> list[Box]:
    """Join normalisation, activation and dropout to the only box they read from, if they are its only reader."""
    readers = Counter(each for box in boxes for each in box.before)
    into: dict[Box, Box] = {}
    for box in boxes:
        source = box.before[0] if len(box.before) == 1 else None
        box.before = list(dict.fromkeys(into.get(each, each) for each in box.before))
        folds = box.kind in ("normalization", "activation") or box.words == ["dropout"]
        if folds and source is not None and readers[source] == 1 and box.before[0].kind != "input":
            host = box.before[0]
            host.words += box.words
            host.parameters += box.parameters
            into[box] = host
    return [box for box in boxes if box not in into]


def _word(layer: keras.Operation) -> str:
    """What a layer does, in a few characters."""
    kind = type(layer).__name__
    short = SHORT.get(kind, kind)
    known = isinstance(layer, KINDS["convolution"] + KINDS["pooling"])  # an own layer may mean anything by these names
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if known and size is not None:
        strides: tuple[int, ...] = layer.strides if math.prod(layer.strides) > 1 else ()
        step = f" /{strides[0]}" if len(set(strides)) == 1 else f" /{'×'.join(map(str, strides))}" if strides else ""
        window = f"{short} {'×'.join(map(str, size))}{step}"
        return " · ".join(filter(None, (window, *_sparse(layer), _activation(layer))))
    if isinstance(layer, keras.layers.Activation):
        return _activation(layer)
    if isinstance(layer, keras.layers.Dense):
        return " · ".join(filter(None, ("dense", _activation(layer))))
    return short if kind in SHORT else kind.lower()


def _sparse(layer: keras.Layer) -> Iterator[str]:
    """What a kernel leaves out: places between those it reads, channels of other groups."""
    dilation = getattr(layer, "dilation_rate", (1,))
    if math.prod(dilation) > 1:
        yield f"dilation {dilation[0] if len(set(dilation)) == 1 else '×'.join(map(str, dilation))}"
    if getattr(layer, "groups", 1) > 1:
        yield f"{layer.groups} groups"


def _activation(layer: keras.Layer) -> str:
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    return "" if name == "linear" else name
