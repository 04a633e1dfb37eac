"""Straight up, then straight down."""

from typing import Any

import keras
import tensorflow as tf

from cnnlab.config.durations import DurationInSteps


@keras.saving.register_keras_serializable(package="cnnlab")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """A straight rise to the peak and a straight fall, as in Smith, "Cyclical learning rates" (2015), once.

    Args:
        initial_learning_rate: the peak, which is the learning rate the optimizer was given.
        total_steps: when the fall ends, in steps once `build_schedule` has converted it; it stays there.
        peak_steps: when the rise ends, likewise.
        start_factor: the share of the peak it starts at.
        end_factor: the share of the peak it ends at.

    Raises:
        ValueError: the peak is not within the total.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        total_steps: DurationInSteps,
        peak_steps: DurationInSteps,
        start_factor: float = 0.0,
        end_factor: float = 0.0,
    ):
        if not 0 <= peak_steps <= total_steps:
            raise ValueError(f"peak_steps must lie within total_steps; received {peak_steps} of {total_steps} steps")
        self.initial_learning_rate = initial_learning_rate
        self.total_steps = total_steps
        self.peak_steps = peak_steps
        self.start_factor = start_factor
        self.end_factor = end_factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(tf.convert_to_tensor(step), tf.float32)
        rise = self.start_factor + (1 - self.start_factor) * step / max(self.peak_steps, 1)
        fallen = (step - self.peak_steps) / max(self.total_steps - self.peak_steps, 1)
        fall = 1 + (self.end_factor - 1) * tf.minimum(fallen, 1.0)
        return self.initial_learning_rate * tf.where(step < self.peak_steps, rise, fall)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "total_steps": self.total_steps,
            "peak_steps": self.peak_steps,
            "start_factor": self.start_factor,
            "end_factor": self.end_factor,
        }
