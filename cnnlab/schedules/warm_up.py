"""A linear rise at the beginning of any schedule."""

from typing import Any

import keras
import tensorflow as tf

from cnnlab.schedules.history import HistorySchedule


@keras.saving.register_keras_serializable(package="cnnlab")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """schedule(t) · (t + 1) / warmup_steps for the steps t < warmup_steps (from 0), schedule(t) after.

    Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2.

    Args:
        schedule: the schedule that is warmed up; its time runs from the first step.
        warmup_steps: how many steps the rise takes, at least 1.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, warmup_steps: int):
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        if isinstance(schedule, HistorySchedule):  # else it does not pass for one either
            self.update = schedule.update

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        risen = tf.minimum(tf.convert_to_tensor(step) + 1, self.warmup_steps)
        return self.schedule(step) * (tf.cast(risen, tf.float32) / self.warmup_steps)

    def get_config(self) -> dict[str, Any]:
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WarmUp":
        schedule = keras.optimizers.schedules.deserialize(config["schedule"])
        return cls(schedule, config["warmup_steps"])
