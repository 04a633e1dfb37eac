"""The small network of the cats and dogs tutorials."""

import keras

from cnnlab.models.blocks import Activation, Blocks, max_pool


def cats_dogs_cnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.0,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """Three unpadded 3x3 convolutions of 32, 64 and 128 channels, each pooled 2x2, and dense layers of 128 and 512.

    4,894,913 parameters at 150x150x3 and one output, 4,735,104 of them in the first dense layer, which reads
    17x17x128 values.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        dropout: share of each dense layer's outputs that is dropped while training.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2)
    x = images = keras.Input(input_shape, name="images")
    for number, filters in enumerate((32, 64, 128), start=1):
        x = blocks.conv(x, f"conv{number}", filters, 3, padding="valid")
        x = max_pool(x, f"pool{number}", 2, strides=2)
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense(x, "dense1", 128, dropout=dropout)
    x = blocks.dense(x, "dense2", 512, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="cats_dogs_cnn")
