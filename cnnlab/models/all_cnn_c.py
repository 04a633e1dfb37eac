"""The all convolutional net C."""

from typing import Literal

import keras

from cnnlab.models.blocks import Activation, Blocks, Padding
from cnnlab.models.springenberg import Stage, all_convolutional


def all_cnn_c(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    conv3_filters: Literal[96, 192] = 96,
    last_padding: Padding = "valid",
    dropout: float = 0.5,
    input_dropout: float = 0.2,
    strided_activation: bool = True,
    final_activation: bool = False,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """All-CNN-C of Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity" (2014), table 2.

    Nine convolutions, none pooled: two of them halve the feature maps with stride 2. The seventh is not padded, and
    a global average over the feature maps of the ninth (6x6 from 32x32 images) gives the logits. 1,369,738
    parameters at 32x32x3 and ten classes. The options that other published forms of the network need are here too.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        conv3_filters: maps of the third convolution, the first strided one: 96 in the paper; with 192 there are
            1,618,666 parameters.
        last_padding: of the seventh convolution, the last 3x3 one; "same" averages 8x8 feature maps of 32x32 images.
        dropout: share of the outputs of the two strided convolutions that is dropped while training.
        input_dropout: the same for the values of the input.
        strided_activation: whether the two strided convolutions, the third and the sixth, have an activation.
        final_activation: whether the ninth convolution, whose feature maps are averaged, has batch normalisation and
            an activation like the others, as the paper's table has it. With ReLU, the feature maps of about four
            classes in ten then start out dead, without any gradient.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    return all_convolutional(
        "all_cnn_c",
        input_shape,
        num_classes,
        [
            Stage(((96, 3), (96, 3), (conv3_filters, 3)), pooled=False),
            Stage(((192, 3), (192, 3), (192, 3)), pooled=False),
        ],
        Blocks(activation, batch_norm, l2, kernel_initializer="he_normal"),
        last_padding=last_padding,
        dropout=dropout,
        input_dropout=input_dropout,
        final_activation=final_activation,
        strided_activation=strided_activation,
    )
