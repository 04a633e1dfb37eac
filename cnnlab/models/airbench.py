"""The network of airbench94."""

from functools import partial

import keras
from keras import KerasTensor

from cnnlab.initializers.dirac import Dirac
from cnnlab.models.blocks import Activation, apply, max_pool
from cnnlab.models.layers import BatchNormalization
from cnnlab.models.whitening import PatchWhitening

BATCH_NORM_MOMENTUM = 0.6
BATCH_NORM_EPSILON = 1e-12


def airbench(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    widths: tuple[int, int, int] = (64, 256, 256),
    bias_multiplier: float = 8.0,
    logit_scale: float = 1 / 9,
    l2: float = 0.0,
    activation: Activation = "gelu",
) -> keras.Model:
    """Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (2024), section 3 and appendix A.

    A layer that whitens 2x2 patches, fitted to the training images and fixed but for its bias; three groups of
    two 3x3 convolutions, the first of each followed by max-pooling, which start as the identity where that is
    possible (Dirac); a dense layer. Batch normalisation has offsets but no scales. 1,973,944 weights at
    32x32x3 and ten classes, of which the whitening and the statistics are not trained. Unlike the author's, the
    whitening is fitted to all training images, not 5,000, and its bias is trained to the end, not for three epochs.

    Args:
        input_shape: (height, width, channels) of the preprocessed images.
        num_classes: number of logits.
        widths: filters of the three groups.
        bias_multiplier: m; each normalisation adds m · beta, which gradient descent moves m² times as fast as
            beta itself. The paper's 64-fold learning rate of these biases is m = 8.
        logit_scale: what the dense layer's outputs are multiplied by.
        l2: adds l2 · sum(w²) to the loss, for every trained weight, biases included.
        activation: after the whitening and every normalisation.

    Returns:
        A functional model from float images (N, *input_shape) to logits (N, num_classes).
    """
    regularizer = keras.regularizers.L2(l2) if l2 else None
    images = keras.Input(input_shape, name="images")
    x = PatchWhitening(2, bias_regularizer=regularizer, name="whitening")(images)
    x = keras.layers.Activation(activation, name="whitening_act")(x)
    block = partial(_block, activation=activation, bias_multiplier=bias_multiplier, regularizer=regularizer)
    for group, filters in enumerate(widths):
        x = block(x, f"conv{2 * group + 1}", filters, pool=True)
        x = block(x, f"conv{2 * group + 2}", filters, pool=False)
    x = max_pool(x, "pool", 3, strides=3)
    x = keras.layers.Flatten(name="flatten")(x)
    bound = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    x = keras.layers.Dense(
        num_classes,
        use_bias=False,
        kernel_initializer=bound,
        kernel_regularizer=regularizer,
        dtype="float32",
        name="dense",
    )(x)
    logits = keras.layers.Rescaling(logit_scale, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="airbench")


def _block(
    x: KerasTensor,
    name: str,
    filters: int,
    *,
    pool: bool,
    activation: Activation,
    bias_multiplier: float,
    regularizer: keras.regularizers.Regularizer | None,
) -> KerasTensor:
    """A convolution, pooled or not, then normalisation and activation."""
    layer = keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,
        kernel_initializer=Dirac(),
        kernel_regularizer=regularizer,
        name=name,
    )
    x = apply(layer, x)
    if pool:
        x = max_pool(x, f"{name}_pool", 2, strides=2)
    x = BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        scale=False,
        beta_multiplier=bias_multiplier,
        beta_regularizer=regularizer,
        name=f"{name}_bn",
    )(x)
    return keras.layers.Activation(activation, name=f"{name}_act")(x)
