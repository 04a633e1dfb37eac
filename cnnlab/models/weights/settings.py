"""What a file tells of its layers' arguments, beside those of the network that gets their arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from cnnlab.models.weights.stored_weights import layer_of


def differing_settings(
    settings: Mapping[str, Mapping[str, Any]],
    pairs: Sequence[tuple[str, keras.Variable]],
    layers: Mapping[str, keras.Layer],
) -> Iterator[str]:
    """Say where a layer computes something else with its arrays than it did when they were trained.

    Args:
        settings: by layers of the file; see `StoredWeights.settings`.
        pairs: an array's name and its variable.
        layers: of the variables' paths.
    """
    seen = set()
    for name, variable in pairs:
        stored_layer, layer = layer_of(name), layers[variable.path]
        if stored_layer in seen:
            continue
        seen.add(stored_layer)
        stored = settings.get(stored_layer) or settings.get(stored_layer.rpartition("/")[2]) or {}
        for key, theirs in stored.items():
            ours = getattr(layer, key, None)
            if ours is not None and ours != theirs:
                yield f"{stored_layer} was trained with {key}={_shown(theirs)}, {layer.name} has {_shown(ours)}"


def padded_otherwise(network: keras.Model) -> list[str]:
    """Layers that TensorFlow pads at the bottom and on the right only, where Theano pads all sides alike.

    With stride 1 and an odd window both do the same; with a larger stride the windows lie a pixel apart.
    """
    windows = (keras.layers.Conv2D, keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
    return [
        layer.name
        for layer in network._flatten_layers()
        if isinstance(layer, windows) and layer.padding == "same" and max(layer.strides) > 1
    ]


def _shown(value: Any) -> str:
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
