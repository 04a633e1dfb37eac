"""Cross-entropy."""

from typing import Annotated

import keras
import tensorflow as tf

from cnnlab.config.ranges import BELOW_1


class Crossentropy:
    """The cross-entropy between labels and the softmax of logits, per example.

    Args:
        label_smoothing: the share of a label's probability that is spread over all classes, in [0, 1).
    """

    def __init__(self, label_smoothing: Annotated[float, BELOW_1] = 0.0):
        self._crossentropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing, reduction="none", dtype="float32"
        )

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The (n,) float32 losses in nats.

        Args:
            targets: (n, num_classes) float32, each row a label's probabilities; one-hot unless labels are mixed.
            logits: (n, num_classes) float32.
        """
        return self._crossentropy(targets, logits)
