"""Names that tell the operations of a network apart, also where nested models have layers of the same name."""

from collections import Counter
from collections.abc import Iterator

import keras

from cnnlab.models.graph import function_of


def operation_paths(network: keras.Model) -> dict[keras.Operation, str]:
    """Where the operations of a functional model are, in the order of computation: NAME, of a nested model MODEL/NAME.

    Models and inputs are left out. An operation of several models is where it comes first.
    """
    paths: dict[keras.Operation, str] = {}
    for operation, path in _paths(network, ""):
        paths.setdefault(operation, path)
    return paths


def operation_names(network: keras.Model) -> dict[keras.Operation, str]:
    """A name for each operation of `operation_paths`, in the same order: its own, or its path where several have it."""
    paths = operation_paths(network)
    count = Counter(operation.name for operation in paths)
    return {operation: operation.name if count[operation.name] == 1 else path for operation, path in paths.items()}


def _paths(operation: keras.Operation, path: str) -> Iterator[tuple[keras.Operation, str]]:
    function = function_of(operation)
    if function is not None:
        for inner in function.operations:
            yield from _paths(inner, f"{path}/{inner.name}" if path else inner.name)
    elif not isinstance(operation, keras.layers.InputLayer):
        yield operation, path
