"""A small network for handwritten digits."""

import keras

from cnnlab.models.blocks import Activation, Blocks, Padding, max_pool


def mnist_cnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    padding: Padding = "valid",
    dropout: float = 0.5,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """Three 3x3 convolutions of 24, 48 and 64 channels, the first two pooled 2x2, and a dense layer of 128.

    113,514 parameters at 28x28x1 and ten classes.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        padding: of the convolutions.
        dropout: share of the dense layer's outputs that is dropped while training.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation=activation, batch_norm=batch_norm, l2=l2)
    images = keras.Input(input_shape, name="images")
    x = blocks.conv(images, "conv1", 24, 3, padding=padding)
    x = max_pool(x, "pool1", 2, strides=2)
    x = blocks.conv(x, "conv2", 48, 3, padding=padding)
    x = max_pool(x, "pool2", 2, strides=2)
    x = blocks.conv(x, "conv3", 64, 3, padding=padding)
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, "dense1", 128, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="mnist_cnn")
