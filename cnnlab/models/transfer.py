"""A new head on a pretrained backbone."""

from typing import Literal

import keras
from keras import KerasTensor

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.models.backbones import Backbone, build_backbone, load_backbone
from cnnlab.models.blocks import Blocks, drop

HeadPooling = Literal["flatten", "average", "max"]
POOLINGS = {
    "flatten": keras.layers.Flatten,
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def transfer(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    backbone: Backbone = "InceptionV3",
    weights: str | None = "imagenet",
    cut: str | None = None,
    fine_tune_from: str | None = None,
    pooling: HeadPooling = "average",
    dense: int | None = None,
    dropout: float = 0.2,
    l2: float = 0.0,
) -> keras.Model:
    """Train a new head, and if asked for the last layers, of a network that has been trained elsewhere.

    The backbone's own preprocessing is the network's first layer. Layers that are not fine-tuned stay as they
    are: no gradient is computed for them, their batch normalisation keeps its statistics, and they drop nothing.

    Args:
        input_shape: (height, width, 3) of the images.
        num_classes: number of logits.
        backbone: "squeezenet" or the name of a network in keras.applications.
        weights: "imagenet", which Keras downloads; the path of a file, absolute or below the working directory
            or $CNNLAB_DATA; None for random ones.
        cut: the layer whose output the head reads; None for the backbone's last maps. (Layers whose names Keras
            numbers itself, such as conv2d_3, have these names in the first network of a process only.)
        fine_tune_from: this layer and all after it are trained too, in the order `cnnlab inspect` lists them;
            None trains the head only.
        pooling: what makes one vector of the feature maps: all of their values, their averages, or their maxima.
        dense: units of a hidden layer in the head; None for none.
        dropout: share of the hidden layer's outputs, or without one of the vector's values, that is dropped
            while training.
        l2: adds l2 * sum(kernel ** 2) to the loss, for each kernel of the head; see Blocks.

    Returns:
        A functional model from RGB values (N, *input_shape) of 0 to 255 to logits (N, num_classes).

    Raises:
        UserError: the images do not suit the backbone, a layer is unknown, or the weights are not to be had.
    """
    images = keras.Input(input_shape, name="images")
    whole = build_backbone(backbone, images)
    maps = whole.output if cut is None else find_layer(whole, cut, "cut", backbone).output
    freeze(keras.Model(images, maps), fine_tune_from, backbone)
    if weights is not None:
        load_backbone(whole, backbone, weights)
        mark_pretrained(whole)
    logits = head(maps, num_classes, pooling=pooling, dense=dense, dropout=dropout, l2=l2)
    return keras.Model(images, logits, name="transfer")


def head(
    maps: KerasTensor, num_classes: int, *, pooling: HeadPooling, dense: int | None, dropout: float, l2: float
) -> KerasTensor:
    """The logits (N, num_classes) of a new head on a backbone's feature maps; the options are those of `transfer`."""
    blocks = Blocks(l2=l2)
    x = POOLINGS[pooling](name="pooling")(maps)
    x = drop(x, "dropout", dropout) if dense is None else blocks.dense(x, "dense", dense, dropout=dropout)
    return blocks.logits(x, num_classes)


def freeze(network: keras.Model, until: str | None, backbone: str) -> None:
    """Keep all layers before the one named `until`, or all of them, as they are.

    Raises:
        UserError: there is no such layer.
    """
    stop = None if until is None else network.layers.index(find_layer(network, until, "fine_tune_from", backbone))
    for layer in network.layers[:stop]:
        layer.trainable = False
        for inner in layer._flatten_layers():
            if hasattr(inner, "rate"):  # Dropout does not ask whether it is trainable
                inner.rate = 0.0


def mark_pretrained(backbone: keras.Model) -> None:
    """Have initializers leave the layers' weights alone, those of the fine-tuned ones too."""
    for layer in backbone._flatten_layers():
        layer.pretrained = True


def find_layer(network: keras.Model, name: str, option: str, backbone: str) -> keras.layers.Layer:
    """The layer of a backbone that `model.OPTION` names.

    Raises:
        UserError: there is none.
    """
    names = [layer.name for layer in network.layers]
    if name not in names:
        hint = did_you_mean(name, names) or "; cnnlab inspect lists them"
        raise UserError(f"model.{option}={name}: no such layer in this part of {backbone}{hint}")
    return network.get_layer(name)
