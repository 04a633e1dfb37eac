"""Walking through a functional model, one operation at a time."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import KerasTensor, tree

Visit = Callable[[keras.Operation, Any, Callable[[], Any]], Any]
"""(operation, its first input, compute) -> its output, for which it calls `compute`."""


def run_graph(network: keras.Model, inputs: Any, visit: Visit, *, batch_statistics: bool = False) -> list[tf.Tensor]:
    """Evaluate a functional model once, operation by operation, each after all it reads from.

    Evaluated as for inference. Nested functional models are entered. A tensor is released as soon as
    nothing more reads it. Differentiable, and may be traced into a function.

    Args:
        network: functional or sequential.
        inputs: as for calling the model, but taken as they are, whatever dtype the model's inputs declare.
        visit: called for every use of every operation, so several times for a shared layer.
        batch_statistics: whether batch normalisation that is not frozen uses the statistics of this batch, as in
            the first step of a training, whose moving ones know nothing of the data yet. It leaves those as they are.

    Returns:
        The outputs, as one flat list.
    """

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frozen: bool) -> list[tf.Tensor]:
        operation = node.operation

        def compute() -> Any:
            if frozen or not isinstance(operation, keras.layers.BatchNormalization):
                return operation(*args, **kwargs)
            before = operation.get_weights()
            outputs = operation(*args, **kwargs | {"training": True})
            operation.set_weights(before)
            return outputs

        return tree.flatten(visit(operation, next(iter(tree.flatten((args, kwargs)))), compute))

    return walk(network, inputs, evaluate, frozen=not batch_statistics)


Evaluate = Callable[[Any, tuple[Any, ...], dict[str, Any], bool], list[Any]]
"""(Keras's node: one use of an operation; positional and keyword arguments; whether it is frozen) -> outputs."""


def walk(network: keras.Model, inputs: Any, evaluate: Evaluate, *, frozen: bool = True) -> list[Any]:
    """Pass values of any kind through a functional model, node by node, each after all it reads from.

    Args:
        network: functional or sequential; nested functional models are entered.
        inputs: what stands for the model's inputs.
        evaluate: called for every use of every operation that is no model.
        frozen: whether the model is used for inference; parts of it that always are, are in any case.

    Returns:
        What stands for the outputs, as one flat list.
    """
    # Keras has no public walk through a graph; Function._run_through_graph keeps every tensor to the end.
    function = _graph_of(network)
    nodes = _nodes(function)
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(id(tensor) for tensor in function.outputs)
    values = {id(symbol): value for symbol, value in zip(function.inputs, tree.flatten(inputs), strict=True)}
    for node in nodes:
        args, kwargs = node.arguments.fill_in(values)
        fixed = frozen or kwargs.get("training") is False
        if function_of(node.operation) is None:
            outputs = evaluate(node, args, kwargs, fixed)
        else:
            outputs = walk(node.operation, args[0], evaluate, frozen=fixed)
        values |= {id(symbol): value for symbol, value in zip(node.outputs, outputs, strict=True)}
        del args, kwargs, outputs
        for symbol in node.input_tensors:
            readers[id(symbol)] -= 1
            if not readers[id(symbol)]:
                del values[id(symbol)]
    return [values[id(symbol)] for symbol in function.outputs]


@dataclass(frozen=True)
class Use:
    """One use of an operation in a graph: a shared layer has several.

    Attributes:
        operation: a layer, or an operation that is none; the InputLayer of each input, which reads nothing.
        inputs, outputs: what it reads and gives.
    """

    operation: keras.Operation
    inputs: list[KerasTensor]
    outputs: list[KerasTensor]


def uses(network: keras.Model) -> list[Use]:
    """The uses of the operations of a functional model, each after all it reads from; nested models count as one."""
    function = _graph_of(network)
    inputs = [Use(symbol._keras_history.operation, [], [symbol]) for symbol in function.inputs]
    return inputs + [Use(node.operation, node.input_tensors, node.outputs) for node in _nodes(function)]


def uses_inside(network: keras.Model) -> tuple[list[Use], list[KerasTensor]]:
    """The same with those inside of nested models in their place, and the model's outputs.

    A model that is used several times gives other tensors each time.
    """
    function = _graph_of(network)
    inputs = [KerasTensor(symbol.shape, symbol.dtype) for symbol in function.inputs]
    found = [Use(old._keras_history.operation, [], [new]) for old, new in zip(function.inputs, inputs, strict=True)]

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: bool) -> list[KerasTensor]:
        outputs = [KerasTensor(symbol.shape, symbol.dtype) for symbol in node.outputs]
        read = [value for value in tree.flatten((args, kwargs)) if isinstance(value, KerasTensor)]
        found.append(Use(node.operation, read, outputs))
        return outputs

    return found, walk(network, inputs, evaluate)


def is_open(operation: keras.Operation) -> bool:
    """Whether a model, or one nested in it, leaves sizes of its inputs open or turns them into whole numbers."""
    function = function_of(operation)
    if function is None:
        return False
    here = any(None in symbol.shape[1:] or not _is_float(symbol) for symbol in function.inputs)
    return here or any(is_open(inner) for inner in function.operations)


def traced_anew(network: keras.Model, images: KerasTensor) -> keras.Model:
    """A model of the same layers and weights, in which all sizes are known, in nested models too.

    Args:
        network: functional or sequential, with one input. It is used up: layers know the sizes of their first use only,
            which is forgotten, so neither it nor other models that share its layers are to be used afterwards.
        images: the new model's input.

    Raises:
        ValueError: it cannot be called on these, or a nested model is used at several sizes.
    """
    _forget_uses(network)
    return _traced_anew(network, [images], {})


def finalize_state(model: keras.Model) -> None:
    """Make weights that were assigned take effect in all layers: Keras's Normalization computes with copies of its own.

    Loading a saved model does so; without it, the model in memory is another one than its file.
    """
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


@contextmanager
def linear(layer: keras.Layer) -> Iterator[Callable[[tf.Tensor], tf.Tensor]]:
    """Keep a layer from applying the activation function it was built with; yields that function."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        yield keras.activations.linear
        return
    layer.activation = keras.activations.linear  # None is not callable, which an Activation layer needs
    try:
        yield activation
    finally:
        layer.activation = activation


@contextmanager
def in_float32(network: keras.Model) -> Iterator[None]:
    """Compute in float32 in all layers, whatever their precision."""
    layers = network._flatten_layers()
    policies = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = "float32"
    try:
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def function_of(operation: keras.Operation) -> keras.Function | None:
    """The graph of an operation that has one: a functional or sequential model, not a subclassed one."""
    if isinstance(operation, keras.Sequential):
        return operation._functional
    return operation if isinstance(operation, keras.Function) else None


def _graph_of(network: keras.Model) -> keras.Function:
    """The graph of a model that has one."""
    function = function_of(network)
    assert function is not None
    return function


def _is_float(symbol: KerasTensor) -> bool:
    return "float" in symbol.dtype


def _nodes(function: keras.Function) -> list[Any]:
    """The uses of operations, each after all it reads from, without the inputs."""
    depths = sorted(function._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in function._nodes_by_depth[depth] if not node.is_input]


def _forget_uses(network: keras.Operation) -> None:
    function = function_of(network)
    if function is None or not is_open(network):
        return
    for operation in function.operations:
        _forget_uses(operation)
        operation._inbound_nodes.clear()
        operation._outbound_nodes.clear()


def _traced_anew(network: keras.Model, inputs: list[KerasTensor], known: dict[keras.Model, keras.Model]) -> keras.Model:
    function = _graph_of(network)
    values = {id(symbol): value for symbol, value in zip(function.inputs, inputs, strict=True)}
    for node in _nodes(function):
        args, kwargs = node.arguments.fill_in(values)
        operation = node.operation
        if is_open(operation):
            arriving = tree.flatten(args[0])
            if operation not in known:
                known[operation] = _traced_anew(operation, _inputs_like(operation, arriving), known)
            operation = known[operation]
            if any(one.shape != other.shape for one, other in zip(operation.inputs, arriving, strict=True)):
                raise ValueError(
                    f"{operation.name} is used at several sizes; make it a subclassed model, or its images of one size"
                )
        outputs = tree.flatten(operation(*args, **kwargs))
        values |= {id(symbol): value for symbol, value in zip(node.outputs, outputs, strict=True)}
    outputs = tree.pack_sequence_as(function.output, [values[id(symbol)] for symbol in function.outputs])
    anew = keras.Model(tree.pack_sequence_as(function.input, inputs), outputs, name=network.name)
    if not network.trainable:
        anew.trainable = False
    return anew


def _inputs_like(network: keras.Model, arriving: list[KerasTensor]) -> list[KerasTensor]:
    """New inputs for a nested model, of the sizes that reach it, which are floats where these are."""
    function = _graph_of(network)
    return [
        keras.Input(batch_shape=new.shape, dtype=(old if _is_float(old) else new).dtype, name=old.name)
        for old, new in zip(function.inputs, arriving, strict=True)
    ]
