"""What training minimises, per example."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError


class Objective:
    """Cross-entropy on the logits, with label smoothing and class weights, summed over the heads.

    Args:
        num_classes: the number of logits of a head.
        label_smoothing: the share of the label's probability spread over all classes, in [0, 1).
        class_weight: (num_classes,) float32 factor of each class's examples; None for equal weights.
        auxiliary_weight: the factor of every head's loss but the first's.
    """

    def __init__(
        self,
        num_classes: int,
        label_smoothing: float = 0.0,
        class_weight: np.ndarray | None = None,
        auxiliary_weight: float = 0.3,
    ):
        self.num_classes = num_classes
        self._crossentropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing, reduction="none", dtype="float32"
        )
        self._class_weight = class_weight
        self._auxiliary_weight = auxiliary_weight

    def __call__(self, targets: tf.Tensor, heads: Sequence[tf.Tensor]) -> tf.Tensor:
        """The (n,) float32 losses in nats.

        Args:
            targets: (n, num_classes) float32, each row a label's probabilities; one-hot unless labels are mixed.
            heads: float32 logits (n, num_classes), the head that counts first.
        """
        losses = self._crossentropy(targets, heads[0])
        for logits in heads[1:]:
            losses += self._auxiliary_weight * self._crossentropy(targets, logits)
        if self._class_weight is None:
            return losses
        return losses * tf.linalg.matvec(targets, self._class_weight)


def build_objective(trainer: DictConfig, dataset: Dataset, num_classes: int) -> Objective:
    """The objective of `trainer.label_smoothing`, `trainer.class_weight` and `trainer.auxiliary_loss_weight`.

    `balanced` weighs a class by N / (classes · its count), as scikit-learn does, so that the mean weight over
    the training split is 1.

    Raises:
        UserError: a weight for a class the dataset does not have.
    """
    weights = _class_weights(trainer.class_weight, dataset, num_classes)
    return Objective(num_classes, trainer.label_smoothing, weights, trainer.auxiliary_loss_weight)


def _class_weights(requested: DictConfig | str | None, dataset: Dataset, num_classes: int) -> np.ndarray | None:
    if requested is None:
        return None
    weights = np.ones(num_classes, np.float32)
    labels = dataset.splits["train"].labels
    if requested == "balanced":
        counts = np.bincount(labels, minlength=num_classes)
        present = counts > 0
        weights[present] = len(labels) / (present.sum() * counts[present])
        return weights
    for name, weight in requested.items():
        if str(name) not in dataset.class_names:
            raise UserError(
                f"trainer.class_weight.{name}: {dataset.name} has no such class; "
                f"it has {', '.join(dataset.class_names)}"
            )
        weights[dataset.class_names.index(str(name))] = weight
    return weights
