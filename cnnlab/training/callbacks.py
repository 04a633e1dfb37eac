"""Keras callbacks in a training."""

from collections.abc import Mapping, Sequence

import keras

from cnnlab.config.extras import is_installed
from cnnlab.errors import UserError
from cnnlab.training.plan import Plan

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def build_callbacks(
    callbacks: Mapping[str, keras.callbacks.Callback],
    loggers: Sequence[keras.callbacks.Callback],
    model: keras.Model,
    plan: Plan,
    *,
    averages: bool,
) -> keras.callbacks.CallbackList:
    """The callbacks of `trainer.callbacks`, by name, and the loggers, as one.

    Args:
        model: what they are given.
        averages: whether an average of the weights is evaluated and saved, and not the trained ones.

    Raises:
        UserError: one of them needs what is not installed, or would keep other weights than it says.
    """
    model.stop_training = False
    for name, callback in callbacks.items():
        _check(f"trainer.callbacks.{name}", callback, averages)
    return keras.callbacks.CallbackList(
        [*callbacks.values(), *loggers],
        model=model,
        epochs=plan.epochs,
        steps=plan.steps_per_epoch,
        verbose=0,
    )


def watches_batches(callbacks: Mapping[str, keras.callbacks.Callback]) -> bool:
    """Whether one of them may look at the model after single batches; Keras's own take no more than their losses."""
    return any(map(_watches_batches, callbacks.values()))


def _watches_batches(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return callback.save_freq != "epoch"
    if any(hook in vars(callback) for hook in _BATCH_HOOKS):  # LambdaCallback's
        return True
    of_keras = type(callback).__module__.startswith("keras.")
    return not of_keras and any(
        getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook) for hook in _BATCH_HOOKS
    )


def _check(key: str, callback: keras.callbacks.Callback, averages: bool) -> None:
    if isinstance(callback, keras.callbacks.TensorBoard) and not is_installed("tensorboard"):
        raise UserError("trainer.callbacks: TensorBoard is not installed; pip install 'cnnlab[tensorboard]'")
    if isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights:
        raise UserError(
            f"{key}.restore_best_weights=true: reaches no file; leave it out, model.keras has the weights that "
            "trainer.monitor finds best, and trainer.early_stopping_patience ends a training"
        )
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and averages:
        raise UserError(
            f"{key}: ModelCheckpoint saves the trained weights, where optimizer.use_ema=true evaluates their average; "
            "leave it out, model.keras and last.keras have the average"
        )
