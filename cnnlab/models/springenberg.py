"""The small networks of "Striving for simplicity"."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

import keras

from cnnlab.models.blocks import Activation, Blocks, Padding, drop, max_pool

Base = Literal["a", "b", "c"]
Downsampling = Literal["pool", "stride", "conv_pool", "conv_stride"]

NAMES: dict[Downsampling, str] = {
    "pool": "model",
    "stride": "strided_cnn",
    "conv_pool": "convpool_cnn",
    "conv_stride": "all_cnn",
}
SIZES: dict[Base, tuple[int, ...]] = {"a": (5,), "b": (5, 1), "c": (3, 3)}
WIDTHS = (96, 192)


@dataclass(frozen=True)
class Stage:
    """Convolutions and the halving of their maps.

    Attributes:
        convolutions: (filters, size) of each.
        pooled: whether a 3x3 max-pooling with stride 2 follows; else the last convolution has stride 2.
    """

    convolutions: tuple[tuple[int, int], ...]
    pooled: bool


def springenberg(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    base: Base,
    downsampling: Downsampling,
    last_padding: Padding = "valid",
    dropout: float = 0.5,
    input_dropout: float = 0.2,
    final_activation: bool = False,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """The networks of Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity" (2014), tables 1 and 2.

    Two stages, of 96 and of 192 channels, each of which halves the feature maps; then a 3x3 convolution and two 1x1
    convolutions, whose feature maps, one per class, are averaged. Table 2 shows how the pooling is replaced for base C;
    A and B follow the same rules (section 3.1).

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        base: the convolutions of a stage: a has one of 5x5, b one of 5x5 and one of 1x1, c two of 3x3.
        downsampling: "pool" is a 3x3 max-pooling with stride 2 (Model A, B, C); "stride" leaves it out and gives
            stride 2 to the convolution before it (Strided-CNN); "conv_pool" has a 3x3 convolution more before
            the pooling (ConvPool-CNN); "conv_stride" gives that one stride 2 and leaves the pooling out (All-CNN).
        last_padding: of the last 3x3 convolution; "valid" averages 6x6 feature maps of 32x32 images, "same" 8x8.
        dropout: share of each downsampling layer's outputs that is dropped while training.
        input_dropout: the same for the values of the input.
        final_activation: see all_cnn_c.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    sizes = SIZES[base] + ((3,) if downsampling.startswith("conv") else ())
    stages = [
        Stage(tuple((filters, size) for size in sizes), pooled=downsampling.endswith("pool")) for filters in WIDTHS
    ]
    return all_convolutional(
        f"{NAMES[downsampling]}_{base}",
        input_shape,
        num_classes,
        stages,
        Blocks(activation, batch_norm, l2, kernel_initializer="he_normal"),
        last_padding=last_padding,
        dropout=dropout,
        input_dropout=input_dropout,
        final_activation=final_activation,
    )


def all_convolutional(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    stages: Sequence[Stage],
    blocks: Blocks,
    *,
    last_padding: Padding,
    dropout: float,
    input_dropout: float,
    final_activation: bool,
    strided_activation: bool = True,
) -> keras.Model:
    """Stages, then the three convolutions all networks of the paper end in; the options are those of all_cnn_c."""
    strided = blocks if strided_activation else replace(blocks, activation=None)
    images = keras.Input(input_shape, name="images")
    x = drop(images, "input_dropout", input_dropout)
    names = (f"conv{number}" for number in count(1))
    for number, stage in enumerate(stages, start=1):
        for filters, size in stage.convolutions[:-1]:
            x = blocks.conv(x, next(names), filters, size)
        filters, size = stage.convolutions[-1]
        if stage.pooled:
            x = blocks.conv(x, next(names), filters, size)
            x = max_pool(x, f"pool{number}", 3, strides=2, padding="same")
            x = drop(x, f"pool{number}_dropout", dropout)
        else:
            x = strided.conv(x, next(names), filters, size, strides=2, dropout=dropout)
    x = blocks.conv(x, next(names), 192, 3, padding=last_padding)
    x = blocks.conv(x, next(names), 192, 1)
    x = blocks.conv(x, next(names), num_classes, 1, linear=not final_activation)
    logits = keras.layers.GlobalAveragePooling2D(name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name=name)
