"""Walking through a functional model, one operation at a time."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import tree

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
    return _walk(function_of(network), inputs, evaluate, frozen)


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


def _walk(function: keras.Function, inputs: Any, evaluate: Evaluate, frozen: bool) -> list[Any]:
    # Keras has no public walk through a graph; Function._run_through_graph keeps every tensor to the end.
    depths = sorted(function._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in function._nodes_by_depth[depth] if not node.is_input]
    readers = Counter(id(tensor) for node in nodes for tensor in node.input_tensors)
    readers.update(id(tensor) for tensor in function.outputs)
    values = {id(symbol): value for symbol, value in zip(function.inputs, tree.flatten(inputs), strict=True)}
    for node in nodes:
        args, kwargs = node.arguments.fill_in(values)
        inner = function_of(node.operation)
        fixed = frozen or kwargs.get("training") is False
        outputs = evaluate(node, args, kwargs, fixed) if inner is None else _walk(inner, args[0], evaluate, fixed)
        values |= {id(symbol): value for symbol, value in zip(node.outputs, outputs, strict=True)}
        del args, kwargs, outputs
        for symbol in node.input_tensors:
            readers[id(symbol)] -= 1
            if not readers[id(symbol)]:
                del values[id(symbol)]
    return [values[id(symbol)] for symbol in function.outputs]
