"""What training minimises, per example."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError
from cnnlab.losses.class_weight import class_weights

LossFunction = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(targets (n, classes), logits (n, classes)) -> (n,), all float32."""


class WeightedLoss:
    """A loss function summed over the heads of a network, with a weight per class.

    Args:
        function: the loss of each example at one head.
        num_classes: the number of logits of a head.
        class_weight: (num_classes,) float32 factor of each class's examples; None for equal weights.
        auxiliary_weight: the factor of every head's loss but the first's.
    """

    def __init__(
        self,
        function: LossFunction,
        num_classes: int,
        class_weight: np.ndarray | None = None,
        auxiliary_weight: float = 1.0,
    ):
        self.num_classes = num_classes
        self._function = function
        self._class_weight = class_weight
        self._auxiliary_weight = auxiliary_weight

    def __call__(self, targets: tf.Tensor, heads: Sequence[tf.Tensor]) -> tf.Tensor:
        """The (n,) float32 losses.

        Args:
            targets: (n, num_classes) float32, each row a label's probabilities; one-hot unless labels are mixed.
            heads: float32 logits (n, num_classes), the head that counts first.
        """
        losses = self._function(targets, heads[0])
        for logits in heads[1:]:
            losses += self._auxiliary_weight * self._function(targets, logits)
        if self._class_weight is None:
            return losses
        return losses * tf.linalg.matvec(targets, self._class_weight)


def build_loss(config: DictConfig, dataset: Dataset, heads: int) -> WeightedLoss:
    """The loss of the groups `loss` and, for the weight of auxiliary heads, `model`.

    Args:
        config: the whole configuration.
        heads: how many outputs the network has.

    Raises:
        UserError: a weight for a class the dataset does not have, or auxiliary heads without a weight.
    """
    if heads > 1 and "auxiliary_loss_weight" not in config.model:
        raise UserError(
            f"model.auxiliary_loss_weight: is missing, and {config.model.name} has {heads} outputs; "
            "give +model.auxiliary_loss_weight=…, the factor of the losses of all but the first"
        )
    return WeightedLoss(
        instantiate(config.loss, drop=["class_weight"]),
        len(dataset.class_names),
        class_weights(config.loss.get("class_weight"), dataset),
        config.model.get("auxiliary_loss_weight", 0.0),
    )
