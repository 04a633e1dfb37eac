"""Keras's losses, and one's own that derive from theirs, as functions of logits."""

import keras
import tensorflow as tf

ON_LOGITS = (keras.losses.Hinge, keras.losses.SquaredHinge, keras.losses.CategoricalHinge)
"""Classes of Keras that compare margins, which any number may be."""

UNMIXED = (keras.losses.Hinge, keras.losses.SquaredHinge, keras.losses.SparseCategoricalCrossentropy)
"""Classes that know whole labels only."""


class KerasLoss:
    """A keras.losses.Loss, per example.

    It is given logits where it says so (`from_logits`) or compares margins; Keras's others are given the softmax. A
    class of one's own is given logits unless it has `from_logits = False`.

    Args:
        loss: what examples cost; its reduction is switched off, since the training step sums.
    """

    def __init__(self, loss: keras.losses.Loss):
        loss.reduction = "none"
        self._loss = loss
        own = not type(loss).__module__.startswith("keras.")
        self._on_logits = getattr(loss, "from_logits", own or isinstance(loss, ON_LOGITS))
        self._on_labels = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)

    @property
    def takes_mixed(self) -> bool:
        """Whether targets may be shares of several classes."""
        return not isinstance(self._loss, UNMIXED)

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """What the loss returns for targets and logits, both (n, num_classes) float32: (n,), or it is not per example.

        Args:
            targets: each row a label's probabilities; one-hot unless labels are mixed.
            logits: of the network.
        """
        expected = tf.argmax(targets, axis=-1) if self._on_labels else targets
        return self._loss(expected, logits if self._on_logits else tf.nn.softmax(logits))
