"""Noticing that a training diverges: by its losses, and by its weights, whose NaN a ReLU may hide from the losses."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from cnnlab.errors import Diverged
from cnnlab.models.weights.finite import not_finite

FIRST_STEP_ADVICE = "look at the images, the preprocessing, the starting weights and the model itself"
DIVERGENCE_ADVICE = "lower optimizer.learning_rate or set optimizer.global_clipnorm"


def require_finite_losses(losses: np.ndarray, first_step: int, epoch_of: Callable[[int], int]) -> None:
    """Check the losses of consecutive steps.

    Args:
        losses: (count,) float32.
        first_step: the number of the first of them, from 1.
        epoch_of: the epoch of a step.

    Raises:
        Diverged: one is NaN or infinite.
    """
    finite = np.isfinite(losses)
    if finite.all():
        return
    index = int(np.argmin(finite))
    step, loss = first_step + index, losses[index]
    if step == 1:
        raise Diverged(
            f"the loss is {loss} at step 1, before the weights have changed; {FIRST_STEP_ADVICE}", learnt=False
        )
    raise Diverged(f"the loss became {loss} at step {step} (epoch {epoch_of(step)}); {DIVERGENCE_ADVICE}")


class WeightCheck:
    """Checks weights after a step, in one call to the device.

    Args:
        weights: of which those that are no floating-point numbers are left out.
    """

    def __init__(self, weights: Iterable[keras.Variable]):
        self._weights = [weight for weight in weights if tf.as_dtype(weight.dtype).is_floating]
        self._are_finite = tf.function(self._reduce, autograph=False)

    def _reduce(self) -> tf.Tensor:
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(weight.value)) for weight in self._weights])

    def __call__(self, step: int) -> None:
        """Raise Diverged where one of them holds NaN or infinity after `step`, the first being 1."""
        if self._are_finite():
            return
        fault = f"{not_finite(self._weights)} is NaN or infinite after step {step}"
        if step == 1:  # and the loss was finite: only the gradients of the starting weights were not
            raise Diverged(f"{fault}, which the starting weights led to; {FIRST_STEP_ADVICE}", learnt=False)
        raise Diverged(f"{fault}; {DIVERGENCE_ADVICE}")
