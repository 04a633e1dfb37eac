"""Up once, then far down."""

import math
from typing import Annotated, Any

import keras
import tensorflow as tf

from cnnlab.config.durations import DurationInSteps
from cnnlab.config.ranges import POSITIVE


@keras.saving.register_keras_serializable(package="cnnlab")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The 1cycle policy with cosine annealing, step for step that of PyTorch's OneCycleLR.

    From the peak / div_factor up to the peak with the last of `peak_steps`, then down to the starting value /
    final_div_factor with the last of `total_steps`, where it stays. Momentum is not cycled.
    Smith & Topin 2018, "Super-Convergence", section 3; with cosines instead of lines as in fast.ai.

    Args:
        initial_learning_rate: the peak, which is the learning rate the optimizer was given.
        total_steps: length of the cycle, in steps once `build_schedule` has converted it.
        peak_steps: how much of that the rise takes, likewise.
        div_factor: the peak / where it starts.
        final_div_factor: where it starts / where it ends.

    Raises:
        ValueError: the rise takes longer than the cycle, or the cycle has no step.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        total_steps: DurationInSteps,
        peak_steps: DurationInSteps,
        div_factor: Annotated[float, POSITIVE] = 25.0,
        final_div_factor: Annotated[float, POSITIVE] = 1e4,
    ):
        if not 0 <= peak_steps <= total_steps or total_steps < 1:
            raise ValueError(
                "peak_steps must lie within total_steps, of which there must be at least one; "
                f"received {peak_steps} of {total_steps} steps"
            )
        self.initial_learning_rate = initial_learning_rate
        self.total_steps = total_steps
        self.peak_steps = peak_steps
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        peak = self.initial_learning_rate
        start = peak / self.div_factor
        end = start / self.final_div_factor
        top, last = max(self.peak_steps - 1, 0), self.total_steps - 1
        step = tf.cast(tf.minimum(tf.convert_to_tensor(step), last), tf.float32)
        rise = _cosine(start, peak, step / max(top, 1))
        fall = _cosine(peak, end, (step - top) / max(last - top, 1))
        return tf.where(step < top, rise, fall)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "total_steps": self.total_steps,
            "peak_steps": self.peak_steps,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
        }


def _cosine(start: float, end: float, progress: tf.Tensor) -> tf.Tensor:
    """Half a cosine wave from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) / 2 * (1 + tf.cos(math.pi * progress))
