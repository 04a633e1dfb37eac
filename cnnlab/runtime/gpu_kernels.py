"""Which operations of a graph a GPU could not run: told from TensorFlow's registry of kernels, without a GPU.

Where an operation has no kernel for a GPU, TensorFlow places it on the host in silence, and in every step its tensors
travel there and back.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.python.framework import kernels, op_def_registry

ON_HOST = {
    "Assert": "only its condition is read",
    "NoOp": "computes nothing",
    "Placeholder": "an argument",
    "StatelessRandomGetKeyCounter": "a seed: four numbers",
    "StatelessRandomGetAlg": "a number",
}
"""Operations that may run on the host, and why: none touches the tensors of a step."""

FEW = 4096
"""Values that a GPU's kernel may leave in the host's memory, as do those for shapes, seeds and a batch's indices."""

CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile", "Case"}
"""Operations that run functions, whose operations are looked at instead."""


@dataclass(frozen=True, order=True)
class HostOperation:
    """An operation that no GPU can run with these types.

    Attributes:
        operation: TensorFlow's name for it, such as ResizeArea.
        types: of its attributes, such as ("T=uint8",).
        example: the name of one of its nodes.
    """

    operation: str
    types: tuple[str, ...]
    example: str


def knows_gpus() -> bool:
    """Whether this TensorFlow has kernels for GPUs; tensorflow-cpu and the wheels for macOS have none."""
    return any(kernel.device_type == "GPU" for kernel in _kernels("Conv2D"))


def host_operations(graph: tf.Graph) -> list[HostOperation]:
    """The operations of a graph, and of the functions it calls, that have no GPU kernel and are not in `ON_HOST`."""
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for node in _nodes(graph.as_graph_def(add_shapes=True)):
        if node.op in ON_HOST or node.op in CALLS or _runs_on_gpu(node):
            continue
        types = tuple(f"{name}={_name(value.type)}" for name, value in sorted(node.attr.items()) if value.type)
        found.setdefault((node.op, types), node.name)
    return sorted(HostOperation(*key, example) for key, example in found.items())


def _nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """The nodes of a graph and of the functions that it calls; gradients that are not called are in its library too."""
    functions = {function.signature.name: function.node_def for function in graph.library.function}
    seen, waiting = set(), [graph.node]
    while waiting:
        for node in waiting.pop():
            yield node
            for name in _called(node.attr):
                if name in functions and name not in seen:
                    seen.add(name)
                    waiting.append(functions[name])


def _called(attributes: Mapping[str, tf.compat.v1.AttrValue]) -> Iterable[str]:
    for value in attributes.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _runs_on_gpu(node: node_def_pb2.NodeDef) -> bool:
    """Whether some kernel for GPUs takes the node's types and leaves what it makes there, or makes little."""
    fitting = [
        kernel
        for kernel in _kernels(node.op)
        if kernel.device_type in ("GPU", "DEFAULT")
        and not kernel.label
        and all(_allows(constraint, node.attr[constraint.name]) for constraint in kernel.constraint)
    ]
    outputs = {output.name for output in op_def_registry.get(node.op).output_arg}
    return any(not outputs & set(kernel.host_memory_arg) or _values(node) <= FEW for kernel in fitting)


def _values(node: node_def_pb2.NodeDef) -> int:
    """The number of values that a node makes, as far as its shapes are known."""
    shapes = [[dimension.size for dimension in shape.dim] for shape in node.attr["_output_shapes"].list.shape]
    return sum(math.prod(shape) for shape in shapes if min(shape, default=1) > 0)


def _allows(constraint: Any, given: tf.compat.v1.AttrValue) -> bool:
    types = given.list.type or [given.type]
    return all(each in constraint.allowed_values.list.type for each in types)


@cache
def _kernels(operation: str) -> tuple[Any, ...]:
    return tuple(kernels.get_registered_kernels_for_op(operation).kernel)


def _name(type_: int) -> str:
    return types_pb2.DataType.Name(type_).removeprefix("DT_").lower()
