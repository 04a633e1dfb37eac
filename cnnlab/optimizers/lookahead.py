"""Weights that now and then go back part of the way they have come."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class Lookahead:
    """Slow copies of the weights, which draw the weights back to them every few steps.

    Zhang, Lucas, Hinton and Ba, "Lookahead optimizer: k steps forward, 1 step back" (2019), around any
    optimizer: every `every` steps the slow weights become decay · slow + (1 - decay) · fast, and the fast ones
    start again from there. Here the decay may grow, as decay · (step / total_steps) ** power, so that the
    first steps are hardly held back (Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (2024),
    section 3.4). Statistics of normalisation layers are weights like the others.

    Args:
        weights: the network's, built, in the scope of the strategy they were made in.
        total_steps: the length of the training.
        every: steps.
        decay: the share of the slow weights that stays; 1 minus the paper's α.
        power: of the growth; 0 keeps the decay constant.
    """

    def __init__(
        self, weights: Sequence[keras.Variable], total_steps: int, every: int, decay: float = 0.5, power: float = 0.0
    ):
        self._every = every
        self._decay = decay
        self._power = power
        self._total_steps = total_steps
        self._fast = [weight for weight in weights if weight.dtype.startswith("float")]
        self.slow = [
            keras.Variable(weight.numpy(), trainable=False, autocast=False, name=f"slow_{number}")
            for number, weight in enumerate(self._fast)
        ]

    @property
    def pairs(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Each weight with its slow copy."""
        return list(zip(self._fast, self.slow, strict=True))

    def after(self, step: tf.Tensor) -> None:
        """Draw the weights back if it is time; in a replica's part of the step, after the optimizer's.

        Args:
            step: int64 scalar, the number of steps made, from 1.
        """
        progress = tf.cast(step, tf.float32) / self._total_steps
        towards_fast = 1 - self._decay * progress**self._power
        # No branch: under a strategy with several replicas, variables must not be assigned inside of one.
        meets = step % self._every == 0
        for fast, slow in self.pairs:
            met = slow.value + towards_fast * (fast.value - slow.value)
            slow.assign(tf.where(meets, met, slow.value))
            fast.assign(tf.where(meets, met, fast.value))
