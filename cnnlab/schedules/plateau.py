"""A learning rate that drops when validation stops improving."""

import math
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="cnnlab")
class Plateau(keras.optimizers.schedules.LearningRateSchedule):
    """keras.callbacks.ReduceLROnPlateau as a function of the validation history.

    The learning rate does not depend on the step. It stands in a variable, so that a compiled training step
    sees it change, and `update` computes it anew from the whole history: there is nothing else to restore
    when a training is resumed.

    Args:
        initial_learning_rate: the learning rate before the first drop.
        monitor: the key of the history's rows that is watched.
        mode: whether less (min) or more (max) is better; auto knows losses and accuracies.
        factor: what the learning rate is multiplied by, below 1.
        patience: epochs with a validation, whose last one counts, without improvement before a drop.
        cooldown: epochs with a validation after a drop during which none is counted.
        min_delta: what a value must be better by to count as an improvement.
        min_lr: where dropping ends.

    Raises:
        ValueError: the factor is 1 or more, or mode=auto does not know the monitor.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        monitor: str = "val_loss",
        mode: Literal["auto", "min", "max"] = "auto",
        factor: float = 0.1,
        patience: int = 10,
        cooldown: int = 0,
        min_delta: float = 1e-4,
        min_lr: float = 0.0,
    ):
        if not 0 < factor < 1:
            raise ValueError(f"factor must lie between 0 and 1; received factor={factor}")
        self.initial_learning_rate = initial_learning_rate
        self.monitor = monitor
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.cooldown = cooldown
        self.min_delta = min_delta
        self.min_lr = min_lr
        self._sign = _sign(monitor, mode)
        self._learning_rate = tf.Variable(initial_learning_rate, trainable=False, dtype=tf.float32)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return tf.convert_to_tensor(self._learning_rate)

    def update(self, history: list[dict[str, Any]]) -> None:
        """Set the learning rate that follows from the last validation of each epoch so far.

        Args:
            history: rows of metrics.csv; those whose `monitor` is absent or None are passed over.
        """
        values = [row[self.monitor] for row in history if row.get(self.monitor) is not None]
        self._learning_rate.assign(self._replay(values))

    def _replay(self, values: list[float]) -> float:
        learning_rate, best, waited, cooling = np.float32(self.initial_learning_rate), -self._sign * math.inf, 0, 0
        for value in values:
            if cooling:
                cooling, waited = cooling - 1, 0
            if self._sign * (value - best) > abs(self.min_delta):
                best, waited = value, 0
                continue
            if cooling:
                continue
            waited += 1
            if waited >= self.patience and learning_rate > np.float32(self.min_lr):
                learning_rate = np.float32(max(float(learning_rate) * self.factor, self.min_lr))
                waited, cooling = 0, self.cooldown
        return float(learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "monitor": self.monitor,
            "mode": self.mode,
            "factor": self.factor,
            "patience": self.patience,
            "cooldown": self.cooldown,
            "min_delta": self.min_delta,
            "min_lr": self.min_lr,
        }


def _sign(monitor: str, mode: str) -> int:
    """1 where more is better, -1 where less is."""
    if mode == "auto":
        mode = {"loss": "min", "accuracy": "max"}.get(monitor.removeprefix("val_"), mode)
    if mode == "auto":
        raise ValueError(f"monitor={monitor}: set mode to min or max; auto knows losses and accuracies only")
    return 1 if mode == "max" else -1
