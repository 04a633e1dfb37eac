"""Scores of classes and channels: numbers per image that gradients are taken of."""

import tensorflow as tf


def class_scores(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The logit of one class per image; the softmax would mix in those of all others.

    Args:
        logits: float (n, K), or (n, 1) for a sigmoid head, whose logit is evidence for the second class and
            against the first.
        classes: integers (n,) from 0 to K - 1.

    Returns:
        Float (n,).
    """
    if logits.shape[-1] == 1:
        return tf.where(classes == 1, logits[:, 0], -logits[:, 0])
    return tf.gather(logits, classes, batch_dims=1)


def class_probabilities(logits: tf.Tensor) -> tf.Tensor:
    """Probabilities (n, K) of logits (n, K); (n, 2) of those of a sigmoid head (n, 1)."""
    if logits.shape[-1] == 1:
        return tf.concat([tf.sigmoid(-logits), tf.sigmoid(logits)], axis=-1)
    return tf.nn.softmax(logits)


def channel_means(outputs: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """The mean activation of one channel per image.

    Args:
        outputs: float (n, H, W, C), or the units (n, C) of a dense layer.
        channels: integers (n,) from 0 to C - 1.

    Returns:
        Float (n,).
    """
    means = tf.reduce_mean(outputs, axis=list(range(1, len(outputs.shape) - 1)))
    return tf.gather(means, channels, batch_dims=1)
