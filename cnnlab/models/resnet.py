"""Residual networks."""

import math
from dataclasses import replace
from typing import Literal

import keras
from keras import KerasTensor

from cnnlab.errors import UserError
from cnnlab.models.blocks import Activation, Blocks, drop, max_pool

Depth = Literal[18, 34, 50, 101, 152]
Stem = Literal["imagenet", "cifar"]

UNITS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""How many residual units the four stages have; from 50 layers on these are bottlenecks."""

VERSIONS = (1, 1.5)


def resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 50,
    version: float = 1.5,
    stem: Stem = "imagenet",
    zero_init_residual: bool = False,
    dropout: float = 0.0,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """ResNet of He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015), table 1.

    A stem, four stages of residual units with batch normalisation, and a global average. Where a unit changes
    the shape, a 1x1 convolution brings its input to the new one (option B). Kernels start from He's normal
    distribution; convolutions have no bias. With 1000 classes ResNet-50 trains 25,557,032 parameters and
    ResNet-152 60,192,808; their statistics add 53,120 and 151,424.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        depth: layers with kernels, projections not counted.
        version: which convolution of a bottleneck halves the feature maps: 1 as published, the first 1x1; 1.5 the 3x3,
            for half a point more accuracy on ImageNet and, with 50 layers, 6 % more MACs. Without bottlenecks there
            is no difference.
        stem: "imagenet" takes a quarter of the height and width (7x7 and pooling, both with stride 2), "cifar"
            none (3x3), for small images.
        zero_init_residual: start every unit as its shortcut: the factors of its last batch normalisation are 0
            (Goyal et al., "Accurate, large minibatch SGD", 2017, section 5.1).
        dropout: share of the averaged feature maps that is dropped while training.
        l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).

    Raises:
        UserError: the version is not known.
    """
    if version not in VERSIONS:
        raise UserError(f"model.version={version}: must be 1 or 1.5")
    blocks = Blocks(activation, batch_norm=True, l2=l2, kernel_initializer="he_normal")
    images = keras.Input(input_shape, name="images")
    x = _stem(blocks, images, stem)
    for stage, units in enumerate(UNITS[depth], start=2):
        filters = 64 * 2 ** (stage - 2)
        for number in range(1, units + 1):
            strides = 2 if stage > 2 and number == 1 else 1
            convolutions = _bottleneck(filters, strides, version) if depth >= 50 else _basic(filters, strides)
            x = residual_unit(blocks, x, f"conv{stage}_{number}", convolutions, zero_init=zero_init_residual)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    logits = blocks.logits(drop(x, "dropout", dropout), num_classes)
    return keras.Model(images, logits, name="resnet")


Convolution = tuple[int, int, int]
"""Filters, size and strides."""


def residual_unit(
    blocks: Blocks, x: KerasTensor, name: str, convolutions: list[Convolution], *, zero_init: bool = False
) -> KerasTensor:
    """Add what some convolutions make of the feature maps to these themselves, then activate.

    Args:
        blocks: makes the layers, with batch normalisation.
        x: maps (N, H, W, C).
        name: what the layers' names begin with.
        convolutions: in their order; the last has no activation of its own.
        zero_init: start with nothing to add.

    Returns:
        Maps of the last convolution's filters, smaller by the product of the strides.
    """
    linear = replace(blocks, activation=None)
    last = replace(linear, gamma_initializer="zeros" if zero_init else "ones")
    makers = [blocks] * (len(convolutions) - 1) + [last]
    y = x
    for number, (maker, (filters, size, strides)) in enumerate(zip(makers, convolutions, strict=True), start=1):
        y = maker.conv(y, f"{name}_conv{number}", filters, size, strides=strides)
    total_stride = math.prod(strides for _, _, strides in convolutions)
    if total_stride > 1 or x.shape[-1] != y.shape[-1]:
        x = linear.conv(x, f"{name}_projection", y.shape[-1], 1, strides=total_stride)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.Activation(blocks.activation, name=f"{name}_act")(x)


def _basic(filters: int, strides: int) -> list[Convolution]:
    return [(filters, 3, strides), (filters, 3, 1)]


def _bottleneck(filters: int, strides: int, version: float) -> list[Convolution]:
    first, second = (strides, 1) if version == 1 else (1, strides)
    return [(filters, 1, first), (filters, 3, second), (4 * filters, 1, 1)]


def _stem(blocks: Blocks, images: KerasTensor, stem: Stem) -> KerasTensor:
    if stem == "cifar":
        return blocks.conv(images, "conv1", 64, 3)
    x = blocks.conv(images, "conv1", 64, 7, strides=2)
    return max_pool(x, "pool1", 3, strides=2, padding="same")
