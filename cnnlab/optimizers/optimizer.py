"""From the configuration to the optimizer."""

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.errors import UserError


def build_optimizer(
    node: DictConfig, learning_rate: keras.optimizers.schedules.LearningRateSchedule | float
) -> keras.optimizers.Optimizer:
    """Build the optimizer of `config.optimizer`, in the scope of the strategy it will work under.

    Args:
        node: `_target_`, a class of keras.optimizers, and its arguments.
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
    return instantiate(node, learning_rate=learning_rate)
