"""A learning rate that drops at given steps."""

from keras.optimizers.schedules import PiecewiseConstantDecay

from cnnlab.config.durations import DurationInSteps


def step_decay(
    initial_learning_rate: float, boundaries: list[DurationInSteps], factor: float
) -> PiecewiseConstantDecay:
    """Multiply the learning rate by `factor` at each boundary.

    Args:
        initial_learning_rate: the learning rate before the first boundary.
        boundaries: the first step (from 0) of each new learning rate, in order; numbers of steps once
            `build_schedule` has converted them.
        factor: what the learning rate is multiplied by.

    Raises:
        ValueError: there are no boundaries, or they are out of order.
    """
    if not boundaries or sorted(boundaries) != boundaries:
        raise ValueError(f"boundaries must be one or more, the earliest first; received steps {boundaries}")
    # Keras's boundaries are the last steps of the old value.
    last_steps = [boundary - 1 for boundary in boundaries]
    values = [initial_learning_rate * factor**drops for drops in range(len(boundaries) + 1)]
    return PiecewiseConstantDecay(last_steps, values)
