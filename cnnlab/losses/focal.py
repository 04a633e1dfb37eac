"""The focal loss."""

from typing import Annotated

import tensorflow as tf

from cnnlab.config.ranges import AT_LEAST_0


class Focal:
    """Cross-entropy whose terms are multiplied by (1 - p) ** gamma, per example.

    Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 4, over the softmax; their alpha is
    `loss.class_weight`. Keras's CategoricalFocalCrossentropy clips probabilities at 1e-7, below which it has no
    gradient; this one is computed from logarithms, so that the worst mistakes still teach.

    Args:
        gamma: how much less an example counts the surer the network is; 0 gives the cross-entropy.
    """

    def __init__(self, gamma: Annotated[float, AT_LEAST_0] = 2.0):
        self.gamma = gamma

    def __call__(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The (n,) float32 losses in nats.

        Args:
            targets: (n, num_classes) float32, each row a label's probabilities; one-hot unless labels are mixed.
            logits: (n, num_classes) float32.
        """
        logarithms = tf.nn.log_softmax(logits)
        doubts = tf.maximum(-tf.math.expm1(logarithms), 1e-7)  # a power below 1 has no finite slope at 0
        return -tf.reduce_sum(targets * doubts**self.gamma * logarithms, axis=-1)
