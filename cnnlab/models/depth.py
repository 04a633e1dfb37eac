"""How deep in a network its layers are."""

from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from cnnlab.models.graph import function_of, walk


def kernel_depths(network: keras.Model) -> list[int]:
    """The depth of each trained variable, in their order: layers with a trained kernel on the longest way to it, its
    own layer among them; the least is 1.

    Layers beside one another are of the same depth. Where a layer, or the network, is no functional model but has
    several layers inside, these count as they are listed.
    """
    depths: dict[int, int] = {}  # by the variable's id: those of blocks built apart may have one path

    def after(operation: Any, depth: int) -> int:
        """The depth behind an operation."""
        variables = getattr(operation, "trainable_variables", ())
        kernels = {_layer_of(variable) for variable in variables if is_kernel(variable)}
        for layer in dict.fromkeys(map(_layer_of, variables)):
            depth += layer in kernels
            for variable in (variable for variable in variables if _layer_of(variable) == layer):
                depths[id(variable)] = max(depths.get(id(variable), 1), depth)
        return depth

    def evaluate(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _: bool) -> list[_Depth]:
        before = max((value.kernels for value in tree.flatten((args, kwargs)) if isinstance(value, _Depth)), default=0)
        return [_Depth(after(node.operation, before))] * len(node.outputs)

    function = function_of(network)
    if function is None:
        after(network, 0)
    else:
        walk(network, [_Depth(0)] * len(function.inputs), evaluate)
    return [depths.get(id(variable), 1) for variable in network.trainable_variables]


def is_kernel(variable: keras.Variable) -> bool:
    """Whether it is what a layer multiplies its maps with, channels with channels: neither bias, scale nor slope."""
    return len(variable.shape) > 1 and variable.name != "alpha"  # the slopes of a PReLU


@dataclass(frozen=True)
class _Depth:
    """What stands for a tensor: the depth behind which it is."""

    kernels: int


def _layer_of(variable: keras.Variable) -> str:
    return variable.path.rpartition("/")[0]
