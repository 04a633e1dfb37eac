"""The order of the values of a flattened map, which differs between channels first and channels last."""

import keras
import numpy as np

from cnnlab.errors import UserError

MapShape = tuple[int, int, int]
"""(height, width, channels) of a feature map before it is flattened."""


def flattened_maps(network: keras.Model, where: str) -> dict[str, MapShape]:
    """The feature maps whose flattened values the first axis of a variable follows, by the paths of the variables.

    Args:
        network: functional, with the channels last.
        where: begins messages.

    Raises:
        UserError: another layer than a dense one, or batch normalisation, follows such a map.
    """
    found: dict[str, MapShape] = {}
    for layer in network._flatten_layers():
        flattened = None if isinstance(layer, keras.Model) or not layer.weights else _flattened(layer)
        if flattened is None or flattened[:2] == (1, 1):
            continue
        if not isinstance(layer, keras.layers.Dense | keras.layers.BatchNormalization):
            raise UserError(
                f"{where}: was trained with channels first, whose flattened order {type(layer).__name__} {layer.name} "
                "needs otherwise; only Dense and BatchNormalization are converted"
            )
        rank = 2 if isinstance(layer, keras.layers.Dense) else 1
        found |= {weight.path: flattened for weight in layer.weights if len(weight.shape) == rank}
    return found


def reordered(values: np.ndarray, flattened: MapShape) -> np.ndarray:
    """Bring the first axis from the order (channels, height, width) to (height, width, channels)."""
    height, width, channels = flattened
    first = values.reshape(channels, height, width, *values.shape[1:])
    return np.moveaxis(first, 0, 2).reshape(values.shape)


def _flattened(layer: keras.Layer) -> MapShape | None:
    """The map whose values, flattened, reach a layer value by value; None where none does."""
    tensor = layer._inbound_nodes[0].input_tensors[0]
    while True:
        before, node, _ = tensor._keras_history
        inputs = before._inbound_nodes[node].input_tensors
        if not inputs or (before.weights and not isinstance(before, keras.layers.BatchNormalization)):
            return None
        tensor = inputs[0]
        if isinstance(before, keras.layers.Flatten | keras.layers.Reshape) and len(tensor.shape) == 4:
            return tensor.shape[1:]
