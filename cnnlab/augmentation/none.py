"""No augmentation."""

import tensorflow as tf

from cnnlab.augmentation.draws import Draws


class NoAugmentation:
    """Leaves the training images as they are."""

    def __call__(self, images: tf.Tensor, draws: Draws) -> tf.Tensor:
        """uint8 (n, H, W, C) in, the same out."""
        return images
