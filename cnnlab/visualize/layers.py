"""Choosing layers and channels of a network, and what these layers return."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from cnnlab.config.nearest import did_you_mean
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.models.graph import run_graph, walk
from cnnlab.models.operation_names import operation_names, operation_paths
from cnnlab.models.receptive_field import ALIKE_IN_USE, POOLINGS
from cnnlab.models.whitening import PatchWhitening

log = logging.getLogger(__name__)

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
    PatchWhitening,
)

OF_THE_HEAD = (*POOLINGS, *ALIKE_IN_USE)
"""Behind the last feature maps they make no others, but pick or average what is there."""

MOST = 12
"""Convolutions that are looked at where nobody says which."""

LISTED = 20
"""Layers that a message lists at most."""


def computing_layers(network: keras.Model) -> dict[str, keras.Layer]:
    """The layers that a network computes with, nested ones too, in the order of computation.

    By name, or where several have the same, as MODEL/NAME: see `operation_names`.
    A subclassed model counts as one layer: its graph is not known.
    """
    return {name: each for name, each in operations(network).items() if isinstance(each, keras.Layer)}


def operations(network: keras.Model) -> dict[str, keras.Operation]:
    """The same with what is no layer, such as keras.ops in the graph."""
    return {name: operation for operation, name in operation_names(network).items()}


def convolutions(network: keras.Model) -> list[str]:
    """The names of the convolutional layers, in the order of computation.

    Raises:
        UserError: there is none.
    """
    layers = computing_layers(network)
    names = [name for name, layer in layers.items() if isinstance(layer, CONVOLUTIONS)]
    if not names:
        require_graph(network)
        raise UserError(f"{network.name}: has no convolution to look at; its layers are {_listed(layers)}")
    return names


def require_graph(network: keras.Model) -> None:
    """Check that no layers hide inside of a subclassed model or a layer of the user's own.

    Raises:
        UserError: some do, so that it is not known how they are put together.
    """
    for name, layer in computing_layers(network).items():
        if layer._layers and not type(layer).__module__.startswith("keras."):
            raise UserError(
                f"{name}: is a subclassed model or a layer of layers, which has no graph of layers for this method to "
                "follow; saliency, smoothgrad, integrated_gradients, grad_cam and occlusion do without"
            )


def some_convolutions(network: keras.Model) -> list[str]:
    """The names of at most `MOST` convolutional layers, spread evenly from the first to the last; of more, it is told.

    Raises:
        UserError: there is none.
    """
    names = convolutions(network)
    if closed := [name for name, layer in computing_layers(network).items() if _hides_convolutions(layer)]:
        log.warning("%s: convolutions inside of layers of your own are not looked at", ", ".join(closed))
    number = min(MOST, len(names))
    if number < len(names):
        log.info("%d of %d convolutions are looked at; method.layers=[NAME,…] chooses others", number, len(names))
    return [names[round(place * (len(names) - 1) / max(1, number - 1))] for place in range(number)]


def choose_layers(network: keras.Model, names: Sequence[str], key: str = "method.layers") -> dict[str, keras.Layer]:
    """The layers of these names, by name.

    Args:
        names: of layers, nested ones too.
        key: of the configuration that gave them.

    Raises:
        UserError: there is no such layer.
    """
    known = computing_layers(network)
    for name in names:
        _require_layer(name, known, key)
    return {name: known[name] for name in names}


def _require_layer(name: str, known: Iterable[str], key: str) -> None:
    layers = list(dict.fromkeys(known))
    if name in layers:
        return
    few = len(layers) <= LISTED
    rest = f"the layers are {_listed(layers)}" if few else "cnnlab inspect lists all layers"
    raise UserError(f"{key}={name}: no such layer{did_you_mean(name, layers, most=1 if few else 5)}; {rest}")


def _listed(layers: Iterable[str]) -> str:
    """The names of layers, of many the first ones."""
    names = list(layers)
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def file_stem(layer: str) -> str:
    """The name of a layer in that of a file: MODEL-NAME for MODEL/NAME."""
    return layer.replace("/", "-")


def activated(network: keras.Model, name: str) -> str:
    """The layer that holds the activations of layer `name`: `name_act` of its model where that has one, else itself."""
    paths, names = operation_paths(network), operation_names(network)
    wanted = f"{paths[operations(network)[name]]}_act"
    return next((names[operation] for operation, path in paths.items() if path == wanted), name)


def spatial_layer(network: keras.Model, layer: str | None) -> str:
    """The name of a layer that returns feature maps; of None, of the one whose maps the head reads, the last ones.

    These are all that global pooling, or a `Flatten`, reads: where branches meet, of all of them, and behind the
    activation function, as Selvaraju et al. take them; pooling and dropout behind them are the head's. It may be a
    layer inside of a subclassed model, and is then the one that is called last of those that return feature maps.

    Raises:
        UserError: there is no such layer, or it returns no feature maps.
    """
    inside = _inner_shapes(network)
    if layer is None:
        layer = _last_maps(network, [name for name, shape in inside.items() if _has_positions(shape)])
        if layer is None:
            names = _listed(computing_layers(network))
            raise UserError(f"{network.name}: no convolution returns feature maps to look at; its layers are {names}")
        return layer
    if layer in inside and len(inside[layer]) == 4:
        return layer
    known = computing_layers(network)
    _require_layer(layer, [*known, *inside], "method.layer")
    shape = inside[layer] if layer in inside else known[layer].output.shape
    if not _has_positions(shape):
        raise UserError(
            f"method.layer={layer}: returns no feature maps but {shown([*shape[1:]])} per image; "
            "choose a layer before it"
        )
    return layer


@dataclass(frozen=True, order=True)
class _Maps:
    """The last feature maps that a tensor comes from: how many operations were before, and the operation's name."""

    place: int = -1
    name: str | None = None


def _last_maps(network: keras.Model, inside: Sequence[str]) -> str | None:
    """The name of the operation with the last feature maps on the way to the logits; None where nothing convolves.

    Squeeze and excitation pools too, but its result goes back into feature maps, which come later.

    Args:
        network: from pixels to logits.
        inside: layers of `_inner_layers` with feature maps, in the order in which they are called.
    """
    inner = _inner_layers(network)
    places, names = count(), operation_names(network)

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: bool) -> list[_Maps]:
        operation = node.operation
        maps = max((leaf for leaf in tree.flatten((args, kwargs)) if isinstance(leaf, _Maps)), default=_Maps())
        place = next(places)
        if _has_positions(node.outputs[0].shape):
            convolves = isinstance(operation, CONVOLUTIONS) or _hides_convolutions(operation)
            if (convolves or maps.name) and not isinstance(operation, OF_THE_HEAD):
                maps = _Maps(place, names[operation])
        elif _hides_convolutions(operation):
            own = operation._flatten_layers(include_self=False)
            maps = _Maps(place, next((name for name in reversed(inside) if inner[name] in own), maps.name))
        return [maps] * len(node.outputs)

    found = max(walk(network, [_Maps() for _ in network.inputs], evaluate)).name
    return found or (inside[-1] if inside else None)


def _has_positions(shape: Sequence[int | None]) -> bool:
    """Whether a batch of this shape holds feature maps of more than one position."""
    return len(shape) == 4 and (shape[1], shape[2]) != (1, 1)


def _hides_convolutions(operation: keras.Operation) -> bool:
    """Whether it is a subclassed model, or a layer of layers, that convolves."""
    if not isinstance(operation, keras.Layer):
        return False
    return any(isinstance(inner, CONVOLUTIONS) for inner in operation._flatten_layers(include_self=False))


def check_channels(channels: Sequence[int], layer: str, count: int, key: str) -> None:
    """Check that a layer has these channels.

    Raises:
        UserError: it has not.
    """
    for channel in channels:
        if not 0 <= channel < count:
            raise UserError(f"{key}={channel}: {layer} has {count} channels, numbered from 0 to {count - 1}")


def choose_channels(chosen: int | Sequence[int], layer: str, count: int, key: str) -> list[int]:
    """Indices of a layer's channels: the first so many of `count`, or those that are listed.

    Raises:
        UserError: the layer has no such channel, or none is listed.
    """
    if isinstance(chosen, int):
        return list(range(min(chosen, count)))
    if not chosen:
        raise UserError(f"{key}=[]: give at least one of the {count} channels of {layer}")
    check_channels(chosen, layer, count, key)
    return list(chosen)


def choose_filters(
    filters: int | Sequence[Sequence[int]] | None, counts: Mapping[str, int], key: str = "method.filters"
) -> dict[str, list[int]]:
    """Indices of the filters of several layers.

    Args:
        filters: the first so many of each layer, or a list of indices per layer, or all.
        counts: how many filters each layer has, in the order of the lists.
        key: of the configuration that gave them.

    Raises:
        UserError: a layer has no such filter, or there are more or fewer lists than layers.
    """
    if filters is None or isinstance(filters, int):
        return {name: list(range(count if filters is None else min(filters, count))) for name, count in counts.items()}
    if len(filters) != len(counts):
        raise UserError(
            f"{key}={shown([*filters])}: has {len(filters)} lists for {len(counts)} layers ({', '.join(counts)}); "
            "give one list of indices per layer, and the layers as method.layers"
        )
    return {
        name: choose_channels(indices, name, count, key)
        for indices, (name, count) in zip(filters, counts.items(), strict=True)
    }


def layer_outputs(
    network: keras.Model, names: Sequence[str]
) -> Callable[[tf.Tensor], tuple[Mapping[str, tf.Tensor], tf.Tensor]]:
    """A function that evaluates a network and keeps what some of its layers return.

    Args:
        network: from pixels to logits.
        names: of the layers, also of those inside of subclassed models.

    Returns:
        A function from inputs (n, H, W, C) to the outputs by layer name (of a layer used several times, the last) and
        the network's logits (n, K). It is differentiable, and may be traced.
    """
    inside = {name: layer for name, layer in _inner_layers(network).items() if name in names}
    name_of = operation_names(network)

    def evaluate(inputs: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        kept: dict[str, tf.Tensor] = {}

        def visit(operation: keras.Operation, _: tf.Tensor, compute: Callable[[], tf.Tensor]) -> tf.Tensor:
            output = compute()
            if (name := name_of[operation]) in names:
                kept[name] = output
            return output

        with _listening(inside, kept.__setitem__):
            logits = run_graph(network, inputs, visit)[0]
        return kept, logits

    return evaluate


def _inner_layers(network: keras.Model) -> dict[str, keras.Layer]:
    """The layers inside of subclassed models and layers of layers, by their name, or where several have it, number."""
    found: dict[str, keras.Layer] = {}
    times = Counter(operation.name for operation in operation_names(network))
    for layer in computing_layers(network).values():
        for inner in layer._flatten_layers(include_self=False):
            number = times[inner.name]
            found[f"{inner.name}#{number}" if number else inner.name] = inner
            times[inner.name] += 1
    return found


def _inner_shapes(network: keras.Model) -> dict[str, tuple[int, ...]]:
    """What inner layers return for one image, in the order in which they are called."""
    shapes: dict[str, tuple[int, ...]] = {}
    inside = _inner_layers(network)

    def hear(name: str, output: tf.Tensor) -> None:
        shapes.pop(name, None)  # of several calls the last counts
        shapes[name] = tuple(output.shape)

    if inside:
        with _listening(inside, hear):
            network(tf.zeros((1, *network.input_shape[1:])), training=False)
    return shapes


@contextmanager
def _listening(layers: Mapping[str, keras.Layer], hear: Callable[[str, tf.Tensor], None]) -> Iterator[None]:
    """Hear what layers return whenever they are called, by whatever code calls them."""

    def heard(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def call_and_tell(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            if tf.is_tensor(output):
                hear(name, output)
            return output

        return call_and_tell

    for name, layer in layers.items():
        layer.call = heard(name, layer.call)
    try:
        yield
    finally:
        for layer in layers.values():
            del layer.call  # the class's own is back
