"""Keras's loss scaling, which a training in float16 needs."""

import keras


def inner_optimizer(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer that updates the weights: the one inside a LossScaleOptimizer, any other itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)
