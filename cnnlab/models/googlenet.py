"""GoogLeNet."""

import keras
from keras import KerasTensor

from cnnlab.models.blocks import Activation, Blocks, average_pool, drop, max_pool
from cnnlab.models.layers import LocalResponseNormalization

MODULES = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
"""The widths of the inception modules: see `inception`."""

AUXILIARY = {"4a": "auxiliary1", "4d": "auxiliary2"}
"""After which modules the auxiliary heads branch off."""


def googlenet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    auxiliary_heads: bool = False,
    dropout: float = 0.4,
    auxiliary_dropout: float = 0.7,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """GoogLeNet of Szegedy et al., "Going deeper with convolutions" (2014), table 1.

    Nine inception modules in three stages, 28, 14 and 7 pixels wide from 224x224 images, and a global average.
    Local response normalisation as in its authors' competition before it (5 channels, bias 1, alpha 1e-4 divided
    by them, beta 0.75). 6,998,552 parameters with 1000 classes; with auxiliary heads 13,378,280 at 224x224.

    Args:
        input_shape: (height, width, channels) of the preprocessed images; with auxiliary heads at least 65x65.
        num_classes: number of logits.
        auxiliary_heads: whether two more classifiers, on modules 4a and 4d, help the gradient on its way.
        dropout: share of the averaged feature maps that is dropped while training.
        auxiliary_dropout: the same for the hidden layers of the auxiliary heads.
        batch_norm, l2, activation: see Blocks; local response normalisation stays with batch_norm.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes), or with auxiliary heads
        to three of them: those that count, those of module 4a, those of module 4d.
    """
    blocks = Blocks(activation, batch_norm, l2)
    images = keras.Input(input_shape, name="images")
    x = _stem(blocks, images)
    auxiliary = []
    for name, widths in MODULES.items():
        if name in ("4a", "5a"):
            x = max_pool(x, f"pool{int(name[0]) - 1}", 3, strides=2, padding="same")
        x = inception(blocks, x, f"inception_{name}", *widths)
        if auxiliary_heads and name in AUXILIARY:
            auxiliary.append(_auxiliary_head(blocks, x, AUXILIARY[name], num_classes, auxiliary_dropout))
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    logits = blocks.logits(drop(x, "dropout", dropout), num_classes)
    return keras.Model(images, [logits, *auxiliary] if auxiliary else logits, name="googlenet")


def inception(
    blocks: Blocks,
    x: KerasTensor,
    name: str,
    narrow: int,
    medium: tuple[int, int],
    wide: tuple[int, int],
    pooled: int,
) -> KerasTensor:
    """Inception module: four branches of the same size side by side (paper, figure 2b).

    Args:
        blocks: makes the layers.
        x: maps (N, H, W, C).
        name: what the layers' names begin with, and the name of the layer that joins the branches.
        narrow: 1x1 convolutions.
        medium: 1x1 convolutions, and the 3x3 ones that read them.
        wide: 1x1 convolutions, and the 5x5 ones that read them.
        pooled: 1x1 convolutions that read the maxima of 3x3 pixels.

    Returns:
        Maps (N, H, W, narrow + medium[1] + wide[1] + pooled).
    """
    branches = [blocks.conv(x, f"{name}_1x1", narrow, 1)]
    for size, (reduced, filters) in ((3, medium), (5, wide)):
        y = blocks.conv(x, f"{name}_{size}x{size}_reduce", reduced, 1)
        branches.append(blocks.conv(y, f"{name}_{size}x{size}", filters, size))
    y = max_pool(x, f"{name}_pool", 3, strides=1, padding="same")
    branches.append(blocks.conv(y, f"{name}_pool_projection", pooled, 1))
    return keras.layers.Concatenate(name=name)(branches)


def _stem(blocks: Blocks, images: KerasTensor) -> KerasTensor:
    x = blocks.conv(images, "conv1", 64, 7, strides=2)
    x = max_pool(x, "pool1", 3, strides=2, padding="same")
    x = _normalise(x, "lrn1")
    x = blocks.conv(x, "conv2_reduce", 64, 1)
    x = blocks.conv(x, "conv2", 192, 3)
    x = _normalise(x, "lrn2")
    return max_pool(x, "pool2", 3, strides=2, padding="same")


def _normalise(x: KerasTensor, name: str) -> KerasTensor:
    return LocalResponseNormalization(depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75, name=name)(x)


def _auxiliary_head(blocks: Blocks, x: KerasTensor, name: str, num_classes: int, dropout: float) -> KerasTensor:
    x = average_pool(x, f"{name}_pool", 5, strides=3)
    x = blocks.conv(x, f"{name}_conv", 128, 1)
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    x = blocks.dense(x, f"{name}_dense", 1024, dropout=dropout)
    return blocks.logits(x, num_classes, name=name)
