"""The large all convolutional net for enlarged CIFAR-10 images."""

import keras

from cnnlab.errors import UserError
from cnnlab.models.blocks import Activation, Blocks

WIDTHS = (320, 640, 960, 1280, 1600)
LAST_WIDTH = 1920


def all_cnn_large(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: float = 1.0,
    dropout: float = 0.5,
    batch_norm: bool = False,
    l2: float = 0.0,
    activation: Activation = "leaky_relu",
) -> keras.Model:
    """The large All-CNN of Springenberg et al., "Striving for simplicity" (2014), appendix: 4.41 % error on CIFAR-10.

    Documented: images placed on canvases of 126x126 pixels; five triples of 2x2 convolutions with 320, 640,
    960, 1280 and 1600 channels, the third of each with stride 2; a 2x2 and a 1x1 convolution with 1920 channels; leaky
    ReLU; dropout of 0.1 after the first two convolutions of the second triple, 0.2, 0.3 and 0.4 in the next
    ones, 0.5 after both last ones; a softmax.

    Decided here: no padding, because only so do 126 pixels end in exactly one (62, 30, 14, 6 and 2 after the
    triples); the slope of leaky ReLU is Keras's, 0.2; the logits are a linear 1x1 convolution, averaged over the
    maps of larger images.

    77,455,690 parameters at ten classes.

    Args:
        input_shape: (height, width, channels) of the preprocessed images, at least 126x126.
        num_classes: number of logits.
        width: multiplies the number of channels of every convolution but the last; greater than 0.
        dropout: share of the outputs of the last two convolutions that is dropped while training; it rises to
            that from 0 in equal steps, triple by triple.
        batch_norm, l2, activation: see Blocks.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).

    Raises:
        UserError: width is not greater than 0.
    """
    if width <= 0:
        raise UserError(f"model.width={width}: must be greater than 0")
    blocks = Blocks(activation, batch_norm, l2, kernel_initializer="he_normal")
    x = images = keras.Input(input_shape, name="images")
    for triple, filters in enumerate(WIDTHS):
        scaled, rate = _scaled(filters, width), dropout * triple / len(WIDTHS)
        for number in (3 * triple + 1, 3 * triple + 2):
            x = blocks.conv(x, f"conv{number}", scaled, 2, padding="valid", dropout=rate)
        x = blocks.conv(x, f"conv{3 * triple + 3}", scaled, 2, strides=2, padding="valid")
    x = blocks.conv(x, "conv16", _scaled(LAST_WIDTH, width), 2, padding="valid", dropout=dropout)
    x = blocks.conv(x, "conv17", _scaled(LAST_WIDTH, width), 1, dropout=dropout)
    x = blocks.conv(x, "conv18", num_classes, 1, linear=True)
    logits = keras.layers.GlobalAveragePooling2D(name="logits", dtype="float32")(x)
    return keras.Model(images, logits, name="all_cnn_large")


def _scaled(filters: int, width: float) -> int:
    return max(1, round(filters * width))
