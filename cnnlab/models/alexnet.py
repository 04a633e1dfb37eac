"""AlexNet."""

from dataclasses import replace
from functools import partial
from typing import Literal

import keras

from cnnlab.errors import UserError
from cnnlab.models.blocks import POOLS, Activation, Blocks, Padding, Pooling
from cnnlab.models.layers import LocalResponseNormalization


def alexnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    groups: Literal[1, 2] = 2,
    conv1_padding: Literal["auto", "valid", "same"] = "auto",
    pooling: Pooling = "max",
    pool_padding: Padding = "valid",
    lrn_radius: int = 2,
    lrn_bias: float = 2.0,
    lrn_alpha: float = 0.0001,
    lrn_beta: float = 0.75,
    conv2_bias: float = 1.0,
    hidden_bias: float = 1.0,
    dropout: float = 0.5,
    dense_activation: Activation | None = None,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """AlexNet (Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep CNNs", 2012, section 3.5).

    Five convolutions, local response normalisation after the first two, overlapping 3x3 pooling after these and the
    last, and two dense layers of 4096; 60,965,224 parameters at 1000 classes, with one group 62,378,344. Kernels
    start from He's normal distribution; `initializer=gaussian` is the paper's.

    Args:
        input_shape, num_classes: (height, width, channels) of the preprocessed images, and the number of logits.
        groups: 2 splits the second, fourth and fifth convolution into halves that see half of the channels each.
        conv1_padding: "auto" pads 224x224 images (SAME) and not 227x227 (VALID), so that both end in 6x6 maps.
        pooling, pool_padding: kind and padding of the three poolings.
        lrn_radius, lrn_bias, lrn_alpha, lrn_beta: see LocalResponseNormalization, whose alpha is not divided by
            the window's size; the paper's k, alpha and beta are 2, 1e-4 and 0.75, and its n = 5 is a radius of 2.
        conv2_bias: where the biases of the second convolution start; those of the first and third start at 0.
        hidden_bias: where those of the fourth, the fifth and the two hidden dense layers start.
        dropout: share of each hidden dense layer's outputs that is dropped while training.
        dense_activation: of the hidden dense layers; None takes that of the convolutions.
        batch_norm, l2, activation: see Blocks; local response normalisation stays with batch_norm.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).

    Raises:
        UserError: conv1_padding is "auto" and the images are of another size.
    """
    blocks = Blocks(activation, batch_norm, l2, kernel_initializer="he_normal")
    hidden = replace(blocks, bias_initializer=hidden_bias)
    dense = replace(hidden, activation=dense_activation or activation)
    pool = POOLS[pooling]
    normalise = partial(LocalResponseNormalization, lrn_radius, lrn_bias, lrn_alpha, lrn_beta)
    images = keras.Input(input_shape, name="images")
    x = blocks.conv(images, "conv1", 96, 11, strides=4, padding=_conv1_padding(conv1_padding, input_shape))
    x = pool(normalise(name="lrn1")(x), "pool1", 3, strides=2, padding=pool_padding)
    x = replace(blocks, bias_initializer=conv2_bias).conv(x, "conv2", 256, 5, groups=groups)
    x = pool(normalise(name="lrn2")(x), "pool2", 3, strides=2, padding=pool_padding)
    x = hidden.conv(blocks.conv(x, "conv3", 384, 3), "conv4", 384, 3, groups=groups)
    x = pool(hidden.conv(x, "conv5", 256, 3, groups=groups), "pool3", 3, strides=2, padding=pool_padding)
    x = dense.dense(keras.layers.Flatten(name="flatten")(x), "dense1", 4096, dropout=dropout)
    x = dense.dense(x, "dense2", 4096, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="alexnet")


def _conv1_padding(choice: Literal["auto", "valid", "same"], input_shape: tuple[int, int, int]) -> Padding:
    if choice != "auto":
        return choice
    match input_shape[:2]:
        case (227, 227):
            return "valid"
        case (224, 224):
            return "same"
    height, width, channels = input_shape
    raise UserError(
        f"model.conv1_padding=auto: knows images of 227x227 and 224x224 pixels, not {height}x{width}; "
        f"use input_shape=[227,227,{channels}], or model.conv1_padding=valid or same"
    )
