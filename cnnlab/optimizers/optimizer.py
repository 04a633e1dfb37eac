"""From the configuration to the optimizer."""

import logging
from collections.abc import Sequence

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.errors import UserError
from cnnlab.optimizers.layer_rates import LAYER_RATES
from cnnlab.optimizers.lookahead import Lookahead

log = logging.getLogger(__name__)

LOOKAHEAD = ("lookahead_every", "lookahead_decay", "lookahead_power")


def build_optimizer(
    node: DictConfig, learning_rate: keras.optimizers.schedules.LearningRateSchedule | float
) -> keras.optimizers.Optimizer:
    """Build the optimizer of `config.optimizer`, in the scope of the strategy it will work under.

    Args:
        node: `_target_`, a class of keras.optimizers, and its arguments, without `lookahead_*` and `layer_*`.
        learning_rate: what the optimizer's learning rate follows, instead of the constant in `node`.

    Raises:
        UserError: the optimizer refuses its arguments, such as two kinds of gradient clipping at once, or is
            asked to accumulate gradients on several replicas.
    """
    accumulated, replicas = node.get("gradient_accumulation_steps"), tf.distribute.get_strategy().num_replicas_in_sync
    if accumulated and replicas > 1:
        raise UserError(
            f"optimizer.gradient_accumulation_steps={accumulated}: Keras cannot accumulate gradients on {replicas} "
            "replicas; use null and a larger trainer.batch_size, or a single device"
        )
    optimizer = instantiate(node, drop=(*LOOKAHEAD, *LAYER_RATES), learning_rate=learning_rate)
    _tell_surprises(node, optimizer)
    return optimizer


def build_lookahead(node: DictConfig, weights: Sequence[keras.Variable], total_steps: int) -> Lookahead | None:
    """The lookahead of `config.optimizer`; None where `lookahead_every`, in updates, is null or not there.

    Args:
        weights: the network's; see Lookahead.
        total_steps: the length of the training.
    """
    if node.get("lookahead_every") is None:
        return None
    arguments = {name.removeprefix("lookahead_"): node[name] for name in LOOKAHEAD if name in node}
    arguments["every"] *= node.get("gradient_accumulation_steps") or 1  # it counts steps
    return Lookahead(weights, total_steps, **arguments)


def _tell_surprises(node: DictConfig, optimizer: keras.optimizers.Optimizer) -> None:
    """Say what Keras makes of options that reads otherwise than they do."""
    accumulated = node.get("gradient_accumulation_steps")
    if accumulated and node.get("use_ema"):
        log.warning(
            "optimizer.ema_momentum=%g: Keras averages after each batch, and %d of them make an update: from one to "
            "the next the average keeps %.3g of itself",
            node.ema_momentum, accumulated, node.ema_momentum**accumulated,
        )  # fmt: skip
    if isinstance(optimizer, keras.optimizers.Ftrl):
        log.warning(
            "optimizer=%s: makes weights of their gradients alone: its first update brings those that the initializer "
            "or weights=FILE gave nearly to 0, unless gradients are large",
            node.name,
        )
