"""Evaluating and exporting the moving average of the weights, where the optimizer keeps one."""

from collections.abc import Iterator
from contextlib import contextmanager

from cnnlab.optimizers.loss_scaling import inner_optimizer
from cnnlab.training.train_state import TrainState


@contextmanager
def averaged_weights(train_state: TrainState) -> Iterator[None]:
    """Put the optimizer's moving averages in the weights' place for the length of the block.

    Does nothing unless the optimizer was built with `use_ema=True`.
    """
    optimizer = inner_optimizer(train_state.optimizer)
    if not optimizer.use_ema:
        yield
        return
    weights = train_state.network.trainable_variables
    trained = [weight.numpy() for weight in weights]
    optimizer.finalize_variable_values(weights)
    try:
        yield
    finally:
        for weight, value in zip(weights, trained, strict=True):
            weight.assign(value)
