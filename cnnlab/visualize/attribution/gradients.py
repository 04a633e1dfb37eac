"""Gradients of class scores towards the pixels or a layer, and what attribution methods make of them."""

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from cnnlab.visualize.attribution.scores import class_scores
from cnnlab.visualize.layers import layer_outputs

Evaluate = Callable[[tf.Tensor], tf.Tensor]
"""Pixels float32 (n, H, W, C) -> logits (n, K), such as a network."""

VALUES_AT_A_TIME = 2**21
MOST_ROWS = 128


def rows_at_a_time(image_shape: Sequence[int]) -> int:
    """How many images (H, W, C) pass through a network together, so that memory stays bounded."""
    return max(1, min(MOST_ROWS, VALUES_AT_A_TIME // math.prod(image_shape)))


def class_gradients(evaluate: Evaluate, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The gradient of each image's class score, its logit, towards its pixels, after Simonyan, Vedaldi and Zisserman,
    "Deep inside convolutional networks" (2013), section 3.

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


def smoothgrad(
    network: keras.Model,
    images: tf.Tensor,
    classes: tf.Tensor,
    *,
    noise: float = 0.15,
    samples: int = 50,
    seed: int = 0,
) -> tf.Tensor:
    """The mean gradient of the class score over noisy copies of an image, after Smilkov et al., "SmoothGrad:
    removing noise by adding noise" (2017), section 3.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).
        noise: standard deviation of the normal noise, as a share of the range of each image's values.
        samples: noisy copies of each image.
        seed: of the noise.

    Returns:
        Float32 (n, H, W, C), in logits per grey level, signed.
    """
    ranges = tf.reduce_max(images, axis=(1, 2, 3)) - tf.reduce_min(images, axis=(1, 2, 3))

    def add_noise(copies: tf.Tensor, which: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
        normal = tf.random.stateless_normal(tf.shape(copies), tf.stack([seed, which[0] * samples + sample[0]]))
        return copies + noise * tf.gather(ranges, which)[:, tf.newaxis, tf.newaxis, tf.newaxis] * normal

    return mean_gradients(network, images, classes, add_noise, samples)


def integrated_gradients(
    network: keras.Model, images: tf.Tensor, classes: tf.Tensor, *, baseline: tf.Tensor, steps: int = 100
) -> tf.Tensor:
    """Integrate the gradient along the straight line from a baseline to the image, after Sundararajan, Taly and Yan,
    "Axiomatic attribution for deep networks" (2017), section 3, by the midpoint rule.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).
        baseline: float32 (H, W, C), 0 to 255.
        steps: points of the integral.

    Returns:
        Float32 (n, H, W, C), in logits: its sum over an image tends to the difference between the scores of image and
        baseline (completeness, proposition 1).
    """

    def on_the_way(ends: tf.Tensor, _: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        share = (tf.cast(step, tf.float32) + 0.5) / steps
        return baseline + share[:, tf.newaxis, tf.newaxis, tf.newaxis] * (ends - baseline)

    return (images - baseline) * mean_gradients(network, images, classes, on_the_way, steps)


def score_differences(network: keras.Model, images: tf.Tensor, classes: tf.Tensor, *, baseline: tf.Tensor) -> tf.Tensor:
    """The class scores of images less those of the baseline: float32 (n,)."""
    of_baseline = tf.repeat(network(baseline[tf.newaxis]), tf.shape(images)[0], axis=0)
    return class_scores(network(images), classes) - class_scores(of_baseline, classes)


def grad_cam(network: keras.Model, images: tf.Tensor, classes: tf.Tensor, *, layer: str) -> tf.Tensor:
    """The positive part of the sum of a layer's channels, each weighted by the mean gradient of the class score
    towards it, after Selvaraju et al., "Grad-CAM" (2017), equations 1 and 2.

    Args:
        network: from pixels to logits.
        images: float32 (n, H, W, C), 0 to 255.
        classes: int32 (n,).
        layer: the name of a layer that returns feature maps.

    Returns:
        Float32 (n, h, w), not negative, at the layer's resolution.
    """
    evaluate = layer_outputs(network, [layer])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)  # so that all that follows is recorded
        kept, logits = evaluate(images)
        scores = class_scores(logits, classes)
    channels = kept[layer]
    gradients = tape.gradient(scores, channels, unconnected_gradients="zero")
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * channels, axis=-1))
