"""SqueezeNet 1.1."""

import keras
from keras import KerasTensor

from cnnlab.models.blocks import Activation, Blocks, drop, max_pool

STAGES = (((16, 64), (16, 64)), ((32, 128), (32, 128)), ((48, 192), (48, 192), (64, 256), (64, 256)))
"""The (squeeze, expand) widths of the fire modules between two poolings."""


def squeezenet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.5,
    final_activation: bool = False,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """SqueezeNet of Iandola et al. (2016) in its authors' cheaper version 1.1.

    Eight fire modules between 3x3 poolings; a global average over the feature maps of a last 1x1 convolution gives the
    logits. 1,235,496 parameters with 1000 classes, 722,496 of them before the last convolution. The poolings leave out
    a last row and column that fill no window, which the authors' (in Caffe) take too: of 227x227 pixels 27x27 and
    13x13 are left where theirs leave 28x28 and 14x14.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        dropout: share of the last fire module's outputs that is dropped while training.
        final_activation: whether the last convolution, whose feature maps are averaged, has batch normalisation and an
            activation like the others, as published. With ReLU some of its channels start out dead.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2)
    images = keras.Input(input_shape, name="images")
    x = drop(squeezenet_maps(blocks, images), "dropout", dropout)
    x = blocks.conv(x, "conv10", num_classes, 1, linear=not final_activation)
    logits = keras.layers.GlobalAveragePooling2D(name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="squeezenet")


def squeezenet_maps(blocks: Blocks, images: KerasTensor) -> KerasTensor:
    """SqueezeNet 1.1 up to its last fire module: (N, H, W, C) to maps (N, h, w, 512), 13x13 of 227x227 pixels."""
    x = blocks.conv(images, "conv1", 64, 3, strides=2, padding="valid")
    number = 1
    for stage in STAGES:
        x = max_pool(x, f"pool{number}", 3, strides=2)
        for squeezed, expanded in stage:
            number += 1
            x = fire(blocks, x, f"fire{number}", squeezed, expanded)
    return x


def fire(blocks: Blocks, x: KerasTensor, name: str, squeezed: int, expanded: int) -> KerasTensor:
    """Fire module: few 1x1 convolutions feed as many 1x1 as 3x3 ones, whose feature maps lie side by side."""
    x = blocks.conv(x, f"{name}_squeeze", squeezed, 1)
    branches = [blocks.conv(x, f"{name}_expand{size}x{size}", expanded, size) for size in (1, 3)]
    return keras.layers.Concatenate(name=f"{name}_concat")(branches)
