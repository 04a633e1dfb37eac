"""Global contrast normalisation: every image on its own."""

from typing import Any

import keras
import tensorflow as tf

from cnnlab.models.layers import REGISTRY


@keras.saving.register_keras_serializable(package=REGISTRY)
class ContrastNormalization(keras.layers.Layer):
    """Subtracts each image's mean and divides the image by its L2 norm, times `scale`.

    As in the code behind Goodfellow et al., "Maxout networks" (2013), section 4.2, which Springenberg et al. (2014)
    refer to: with its scale of 55 the values of a 32×32×3 image have a standard deviation of about 1. What an image
    is multiplied by beforehand makes no difference. An image of one colour, which has no contrast, becomes 0.

    Args:
        scale: the L2 norm of every image afterwards.

    Input and output: (N, H, W, C) floats.
    """

    def __init__(self, scale: float = 55.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        centred = inputs - tf.reduce_mean(inputs, axis=(1, 2, 3), keepdims=True)
        norm, before = _norm(centred), _norm(inputs)
        has_contrast = norm > 1e-5 * before  # what subtraction leaves of one colour is rounding
        return tf.where(has_contrast, self.scale * tf.math.divide_no_nan(centred, norm), 0.0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


def _norm(images: tf.Tensor) -> tf.Tensor:
    """(N, 1, 1, 1): the L2 norm of each image."""
    return tf.sqrt(tf.reduce_sum(tf.square(images), axis=(1, 2, 3), keepdims=True))
