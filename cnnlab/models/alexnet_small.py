"""AlexNet scaled down to 32x32 images."""

import keras
from keras import KerasTensor

from cnnlab.models.blocks import Activation, Blocks, max_pool
from cnnlab.models.layers import LocalResponseNormalization


def alexnet_small(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    dropout: float = 0.5,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "relu",
) -> keras.Model:
    """Five convolutions and two dense layers of 512, after Krizhevsky, Sutskever and Hinton (2012).

    The first two convolutions are followed by local response normalisation (radius 2, bias 2, alpha 1e-4,
    beta 0.75) and overlapping 3x3 max-pooling with stride 2; all padding is SAME. Kernels start from He's
    normal distribution, all biases at 1. 2,887,306 parameters at 32x32x3 and ten classes.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        dropout: share of each dense layer's outputs that is dropped while training.
        batch_norm, l2, activation: see Blocks; local response normalisation stays with batch_norm.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    blocks = Blocks(activation, batch_norm, l2, kernel_initializer="he_normal", bias_initializer="ones")
    images = keras.Input(input_shape, name="images")
    x = blocks.conv(images, "conv1", 48, 7, strides=2)
    x = _normalise_and_pool(x, "1")
    x = blocks.conv(x, "conv2", 128, 5)
    x = _normalise_and_pool(x, "2")
    for name in ("conv3", "conv4", "conv5"):
        x = blocks.conv(x, name, 192, 3)
    x = keras.layers.Flatten(name="flatten")(x)
    for name in ("dense1", "dense2"):
        x = blocks.dense(x, name, 512, dropout=dropout)
    return keras.Model(images, blocks.logits(x, num_classes), name="alexnet_small")


def _normalise_and_pool(x: KerasTensor, number: str) -> KerasTensor:
    x = LocalResponseNormalization(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, name=f"lrn{number}")(x)
    return max_pool(x, f"pool{number}", 3, strides=2, padding="same")
