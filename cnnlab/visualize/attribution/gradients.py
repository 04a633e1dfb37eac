"""Gradients of class scores towards the pixels, and the maps that are made of them."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from cnnlab.visualize.attribution.scores import class_scores

Evaluate = Callable[[tf.Tensor], tf.Tensor]
"""Pixels float32 (n, H, W, C) -> logits (n, K), such as a network."""

VALUES_AT_A_TIME = 2**21
MOST_ROWS = 128


def rows_at_a_time(image_shape: Sequence[int]) -> int:
    """How many images (H, W, C) pass through a network together, so that memory stays bounded."""
    return max(1, min(MOST_ROWS, VALUES_AT_A_TIME // math.prod(image_shape)))


def class_gradients(evaluate: Evaluate, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The gradient of each image's class score, its logit, towards its pixels.

    Args:
        evaluate: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).

    Returns:
        Float32 (n, H, W, C), in logits per grey level.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        scores = class_scores(evaluate(images), classes)
    return tape.gradient(scores, images, unconnected_gradients="zero")


def mean_gradients(
    evaluate: Evaluate,
    images: tf.Tensor,
    classes: tf.Tensor,
    vary: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor],
    variants: int,
) -> tf.Tensor:
    """The mean of the gradients at several variants of each image.

    Variants of all images are evaluated in common batches of bounded size.

    Args:
        evaluate, images, classes: as for `class_gradients`.
        vary: (images (b, H, W, C), which of `images` they are (b,), which variants to make of them (b,)) -> variants.
        variants: how many of each image.

    Returns:
        Float32 (n, H, W, C).
    """
    rows = tf.shape(images)[0] * variants
    batch = rows_at_a_time(images.shape[1:])

    def add(total: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        row = tf.range(start, tf.minimum(start + batch, rows))
        which, variant = row // variants, row % variants
        varied = vary(tf.gather(images, which), which, variant)
        gradients = class_gradients(evaluate, varied, tf.gather(classes, which))
        return tf.tensor_scatter_nd_add(total, which[:, tf.newaxis], gradients)

    total = tf.foldl(add, tf.range(0, rows, batch), tf.zeros_like(images), parallel_iterations=1)
    return total / variants
