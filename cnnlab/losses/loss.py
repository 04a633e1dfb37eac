"""What training minimises, per example."""

import logging
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.config.scoring import LOSS_LABELS, PER_CLASS
from cnnlab.config.signatures import find_signature
from cnnlab.config.types import shown
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError, one_line
from cnnlab.losses.class_weight import class_weights
from cnnlab.losses.keras_loss import KerasLoss

log = logging.getLogger(__name__)

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

    @property
    def takes_mixed(self) -> bool:
        """Whether targets may be shares of several classes; a function of one's own is trusted with them."""
        return getattr(self._function, "takes_mixed", True)

    def __call__(self, targets: tf.Tensor, heads: Sequence[tf.Tensor]) -> tf.Tensor:
        """The (n,) float32 losses.

        Args:
            targets: (n, num_classes) float32, each row a label's probabilities, one-hot unless labels are mixed; each
                times the weight of the example that it comes from.
            heads: float32 logits (n, num_classes), the head that counts first.
        """
        if self._class_weight is not None:
            targets = targets * self._class_weight
        weights = tf.reduce_sum(targets, axis=1, keepdims=True)
        # What counts nothing has some label: a function of one's own need not be finite where there is none. It is
        # a whole one: Keras's hinge losses look at all labels of the batch to see of which kind they are.
        any_label = tf.one_hot(0, self.num_classes)
        labels = tf.where(weights > 0, tf.math.divide_no_nan(targets, weights), any_label)
        losses = self._function(labels, heads[0])
        for logits in heads[1:]:
            losses += self._auxiliary_weight * self._function(labels, logits)
        return losses * weights[:, 0]


def build_loss(config: DictConfig, dataset: Dataset, heads: int) -> WeightedLoss:
    """The loss of the groups `loss` and, for the weight of auxiliary heads, `model`.

    Args:
        config: the whole configuration.
        heads: how many outputs the network has.

    Raises:
        UserError: a weight for a class the dataset does not have, auxiliary heads without a weight, or a loss that
            is none, or not one value per example.
    """
    if heads > 1 and "auxiliary_loss_weight" not in config.model:
        raise UserError(
            f"model.auxiliary_loss_weight: is missing, and {config.model.name} has {heads} outputs; "
            "give +model.auxiliary_loss_weight=…, the factor of the losses of all but the first"
        )
    num_classes = len(dataset.class_names)
    function = _build_function(config.loss)
    _require_per_example(function, num_classes, f"loss={config.loss.name}")
    if config.loss._target_ in PER_CLASS:
        log.info(
            "loss=%s: trains a sigmoid per class; eval, predict and model.keras give the softmax of the same outputs",
            config.loss.name,
        )
    return WeightedLoss(
        function,
        num_classes,
        class_weights(config.loss.get("class_weight"), dataset),
        config.model.get("auxiliary_loss_weight", 0.0),
    )


def require_whole_labels(loss: WeightedLoss, mixing: str | None, name: str) -> None:
    """Check that a loss is not given mixed labels if it does not know them.

    Args:
        loss: what is minimised.
        mixing: the augmentation that mixes labels; None where none does.
        name: of the loss.

    Raises:
        UserError: it is.
    """
    if mixing and not loss.takes_mixed:
        raise UserError(
            f"loss={name}: knows whole labels only, which augmentation={mixing} mixes; leave one of them out, or use "
            "loss=crossentropy"
        )


def _build_function(node: DictConfig) -> LossFunction:
    key = f"loss={node.name}"
    if node.get("reduction") not in (None, "none"):
        raise UserError(f"loss.reduction={node.reduction}: the training step sums the examples itself; leave it out")
    loss = instantiate(node, drop=LOSS_LABELS, **_from_logits(node))
    if isinstance(loss, keras.losses.Loss):
        return KerasLoss(loss)
    if not callable(loss):
        returns = f"{node._target_} returns {type(loss).__name__}"
        raise UserError(f"{key}: {returns}, not a function of targets and logits; see docs/own_code.md")
    return loss


def _from_logits(node: DictConfig) -> dict[str, bool]:
    """Keras's losses that can start from logits do so, which is more exact than to undo a softmax."""
    target = str(node._target_)
    signature = find_signature(target) if target.startswith("keras.") else None
    takes_it = signature is not None and "from_logits" in signature.hints and "from_logits" not in node
    return {"from_logits": True} if takes_it else {}


def _require_per_example(function: LossFunction, num_classes: int, key: str) -> None:
    """Check on made-up logits that there is a number for each example, which is that of the example alone."""
    examples = num_classes + 1
    targets = tf.one_hot(np.arange(examples) % num_classes, num_classes)
    logits = tf.constant(np.random.default_rng(0).normal(size=(examples, num_classes)), tf.float32)
    try:
        losses, first = (tf.convert_to_tensor(function(targets[:n], logits[:n])) for n in (examples, 2))
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise UserError(
            f"{key}: cannot be computed from targets and logits of {shown([examples, num_classes])}; {one_line(error)}"
        ) from error
    if losses.shape != (examples,):
        raise UserError(
            f"{key}: returns the shape {shown([*losses.shape])} for {examples} examples, not one value per example, "
            f"{shown([examples])}; sum or average over the classes, and over nothing else (axis=-1)"
        )
    if not np.allclose(losses[:2], first, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise UserError(
            f"{key}: what an example costs depends on the others of its batch; it must be a function of the example "
            "alone, so that batches can be shared among devices"
        )
