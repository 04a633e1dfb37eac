"""What a file tells of its layers' arguments, beside those of the network that gets their arrays."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from cnnlab.models.weights.stored_weights import layer_of

WITH_WEIGHTS = ("padding", "strides", "dilation_rate", "epsilon")
WITHOUT_WEIGHTS = ("padding", "strides", "pool_size", "scale", "offset")
NO_DIFFERENCE = (
    *(keras.layers.InputLayer, keras.layers.Flatten, keras.layers.Reshape, keras.layers.Softmax),
    *(keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianDropout, keras.layers.GaussianNoise),
)


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


def differing_networks(source: keras.Model, target: keras.Model) -> Iterator[str]:
    """Say where two networks with the same variables, in the same order, compute something else with them.

    Layers that only train (dropout), only reshape, or turn logits into probabilities make no difference.
    """
    theirs, ours = owners(source), owners(target)
    arrays = [weight.path for weight in source.weights]
    settings = {layer_of(path): _settings(theirs[path], WITH_WEIGHTS) for path in arrays}
    yield from differing_settings(settings, list(zip(arrays, target.weights, strict=True)), ours)
    there, here = _weightless(source), _weightless(target)
    if there != here:
        more, fewer = (
            ", ".join(f"{count} {what}" for what, count in (one - other).items()) or "none"
            for one, other in ((there, here), (here, there))
        )
        yield f"of layers without weights it was trained with {more}, where {target.name} has {fewer}"


def owners(network: keras.Model) -> dict[str, keras.Layer]:
    """The layer of each variable, by its path."""
    layers = [layer for layer in network._flatten_layers() if not isinstance(layer, keras.Model)]
    return {weight.path: layer for layer in layers for weight in layer.weights}


def _weightless(network: keras.Model) -> Counter[str]:
    """What is computed without weights, wherever it stands; an activation within a layer counts as a layer."""
    layers = [layer for layer in network._flatten_layers() if not isinstance(layer, (keras.Model, *NO_DIFFERENCE))]
    computed = [
        (type(layer).__name__, _settings(layer, WITHOUT_WEIGHTS))
        for layer in layers
        if not layer.weights and not isinstance(layer, (keras.layers.Activation, keras.layers.ReLU))
    ]
    computed += [("Activation", _settings(layer, ("activation",))) for layer in layers if hasattr(layer, "activation")]
    computed += [("Activation", {"activation": "relu"}) for layer in layers if isinstance(layer, keras.layers.ReLU)]
    return Counter(
        f"{name}({', '.join(f'{key}={_shown(value)}' for key, value in settings.items())})"
        for name, settings in computed
        if settings.get("activation") not in {"linear", "softmax", "sigmoid"}
    )


def _settings(layer: keras.Layer, keys: Sequence[str]) -> dict[str, Any]:
    named = {key: getattr(layer, key, None) for key in keys}
    return {
        key: getattr(value, "__name__", type(value).__name__) if callable(value) else value
        for key, value in named.items()
        if value is not None
    }


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
