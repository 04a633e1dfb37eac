"""ZFNet."""

import keras

from cnnlab.models.blocks import Activation, Blocks, max_pool
from cnnlab.models.layers import LocalResponseNormalization


def zfnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    lrn_radius: int = 2,
    lrn_bias: float = 2.0,
    lrn_alpha: float = 0.0001,
    lrn_beta: float = 0.75,
    dropout: float = 0.5,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """The network of Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2013), figure 3.

    AlexNet with a finer beginning: 96 filters of 7x7 and 256 of 5x5, both with stride 2, then 384, 384 and 256 filters
    of 3x3, and two dense layers of 4096. Poolings are 3x3 with stride 2; contrast normalisation across channels
    follows the first two. From 224x224 images the feature maps shrink to 110, 55, 26, 13 and 6 pixels, which takes a
    margin of one pixel around the images, poolings that are padded (the last is not), and an unpadded second
    convolution. 62,357,608 parameters at 224x224x3 and 1000 classes. Kernels start from He's normal
    distribution; `initializer=gaussian` is the paper's.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        lrn_radius, lrn_bias, lrn_alpha, lrn_beta: of the contrast normalisation; see
            LocalResponseNormalization. The paper gives no constants; these are AlexNet's.
        dropout: share of each hidden dense layer's outputs that is dropped while training.
        batch_norm, l2, activation: see Blocks; contrast normalisation stays with batch_norm.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2, kernel_initializer="he_normal")

    def normalisation(number: int) -> keras.layers.Layer:
        return LocalResponseNormalization(lrn_radius, lrn_bias, lrn_alpha, lrn_beta, name=f"lrn{number}")

    images = keras.Input(input_shape, name="images")
    x = keras.layers.ZeroPadding2D(1, name="margin")(images)
    x = blocks.conv(x, "conv1", 96, 7, strides=2, padding="valid")
    x = normalisation(1)(max_pool(x, "pool1", 3, strides=2, padding="same"))
    x = blocks.conv(x, "conv2", 256, 5, strides=2, padding="valid")
    x = normalisation(2)(max_pool(x, "pool2", 3, strides=2, padding="same"))
    for name, filters in (("conv3", 384), ("conv4", 384), ("conv5", 256)):
        x = blocks.conv(x, name, filters, 3)
    x = max_pool(x, "pool3", 3, strides=2)
    x = keras.layers.Flatten(name="flatten")(x)
    for name in ("dense1", "dense2"):
        x = blocks.dense(x, name, 4096, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="zfnet")
