"""A learning rate that stays."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="cnnlab")
class Constant(keras.optimizers.schedules.LearningRateSchedule):
    """The same learning rate at every step.

    Args:
        initial_learning_rate: the learning rate.
    """

    def __init__(self, initial_learning_rate: float):
        self.initial_learning_rate = initial_learning_rate

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return tf.constant(self.initial_learning_rate, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"initial_learning_rate": self.initial_learning_rate}
