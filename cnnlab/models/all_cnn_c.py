"""The all convolutional net C."""

import keras

from cnnlab.models.blocks import Activation, Blocks, drop


def all_cnn_c(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.5,
    input_dropout: float = 0.2,
    final_activation: bool = False,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """All-CNN-C of Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity" (2014), table 2.

    Nine convolutions, none pooled: two of them halve the maps with stride 2. The seventh is not padded, and
    a global average over the maps of the ninth (6x6 from 32x32 images) gives the logits. 1,369,738
    parameters at 32x32x3 and ten classes.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        dropout: share of the outputs of the two strided convolutions that is dropped while training.
        input_dropout: the same for the values of the input.
        final_activation: whether the ninth convolution, whose maps are averaged, has batch normalisation and
            an activation like the others, as the paper's table has it. With ReLU, the maps of about four
            classes in ten then start out dead, without any gradient.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2, kernel_initializer="he_normal")
    images = keras.Input(input_shape, name="images")
    x = drop(images, "input_dropout", input_dropout)
    x = blocks.conv(x, "conv1", 96, 3)
    x = blocks.conv(x, "conv2", 96, 3)
    x = blocks.conv(x, "conv3", 96, 3, strides=2, dropout=dropout)
    x = blocks.conv(x, "conv4", 192, 3)
    x = blocks.conv(x, "conv5", 192, 3)
    x = blocks.conv(x, "conv6", 192, 3, strides=2, dropout=dropout)
    x = blocks.conv(x, "conv7", 192, 3, padding="valid")
    x = blocks.conv(x, "conv8", 192, 1)
    x = blocks.conv(x, "conv9", num_classes, 1, linear=not final_activation)
    logits = keras.layers.GlobalAveragePooling2D(name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="all_cnn_c")
