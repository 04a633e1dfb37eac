"""Penalties on images that gradient ascent makes up, so that they stay smooth and moderate."""

import tensorflow as tf


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """How much neighbouring pixels differ: the mean over all pixels of the absolute differences to the right and below.

    The anisotropic form of Rudin, Osher & Fatemi, "Nonlinear total variation based noise removal algorithms" (1992),
    per pixel, so that a weight suits images of all sizes.

    Args:
        images: float (n, H, W, C).

    Returns:
        Float (n,).
    """
    down = tf.reduce_mean(tf.abs(images[:, 1:] - images[:, :-1]), axis=(1, 2, 3))
    right = tf.reduce_mean(tf.abs(images[:, :, 1:] - images[:, :, :-1]), axis=(1, 2, 3))
    return down + right


def lp_norm(images: tf.Tensor, p: int) -> tf.Tensor:
    """The mean over all pixels of their p-th powers: large p punishes single bright pixels, as in Mahendran & Vedaldi.

    "Understanding deep image representations by inverting them" (2015), section 2.1.

    Args:
        images: float (n, H, W, C), 0 for what is not punished.
        p: the power, at least 1.

    Returns:
        Float (n,).
    """
    return tf.reduce_mean(tf.abs(images) ** p, axis=(1, 2, 3))
