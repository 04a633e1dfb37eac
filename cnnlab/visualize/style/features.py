"""The part of a pretrained network that style transfer looks through."""

from collections.abc import Sequence

import keras

from cnnlab.errors import UserError
from cnnlab.models.backbones import Backbone, build_backbone, load_backbone
from cnnlab.models.blocks import Pooling
from cnnlab.models.graph import finalize_state
from cnnlab.visualize.layers import choose_layers


def build_features(
    backbone: Backbone,
    weights: str | None,
    *,
    content_layers: Sequence[str],
    style_layers: Sequence[str],
    pooling: Pooling,
) -> keras.Model:
    """A model from images of any size to the feature maps of some layers of a backbone; it ends at the last of them.

    Args:
        backbone: its name.
        weights: "imagenet", a file, or None for random ones; see `load_backbone`.
        content_layers, style_layers: names of layers.
        pooling: average replaces max pooling, as in section 2 of Gatys et al. 2016; max leaves the backbone as it is.

    Returns:
        A functional model, not trainable, from float32 images (n, H, W, 3) from 0 to 255 to feature maps by layer name.

    Raises:
        UserError: there is no such layer, or none at all, or the weights cannot be had.
    """
    network = build_backbone(backbone, keras.Input((None, None, 3), name="images"))
    chosen = choose_layers(network, content_layers, "method.content_layers")
    chosen |= choose_layers(network, style_layers, "method.style_layers")
    if not chosen:
        raise UserError("method.content_layers=[], method.style_layers=[]: give at least one layer of either")
    if weights is not None:
        load_backbone(network, backbone, weights, key="method.weights")
    features = keras.Model(network.inputs, {name: layer.output for name, layer in chosen.items()})
    if pooling == "average":
        features = with_average_pooling(features)
    features.trainable = False
    return features


def with_average_pooling(model: keras.Model) -> keras.Model:
    """A copy of a functional model, weights too, that takes the average where it took the maximum."""

    def convert(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, keras.layers.MaxPooling2D):
            return keras.layers.AveragePooling2D.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=convert)
    copy.set_weights(model.get_weights())
    finalize_state(copy)
    return copy


def require_room(features: keras.Model, size: tuple[int, int], key: str) -> None:
    """Check that an image leaves a pixel or more in each of the feature maps.

    Args:
        size: (height, width) of the image.
        key: and value of the configuration that the size comes from.

    Raises:
        UserError: it does not.
    """
    height, width = size
    try:
        shapes = features.compute_output_shape((1, height, width, 3))
        small = next((name for name, shape in shapes.items() if min(shape[1:3]) < 1), None)
    except ValueError:
        small = features.output_names[-1]
    if small is not None:
        raise UserError(
            f"{key}: {height}x{width} pixels are too few for layer {small}; use larger images, a larger method.size, "
            "fewer method.scales or layers nearer to the image"
        )
