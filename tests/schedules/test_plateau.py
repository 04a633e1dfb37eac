"""Plateau, against keras.callbacks.ReduceLROnPlateau on the same histories."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.schedules.plateau import Plateau

ARGUMENTS = [
    {},
    {"patience": 3, "factor": 0.5},
    {"patience": 2, "cooldown": 3},
    {"patience": 1, "min_lr": 0.02, "factor": 0.3},
    {"patience": 2, "min_delta": 0.05, "cooldown": 1},
    {"patience": 0},
    {"patience": 2, "monitor": "val_accuracy", "mode": "max"},
]


def make_history(monitor: str, seed: int) -> list[dict]:
    """Sixty epochs of noisy progress, one in seven without validation."""
    rng = np.random.default_rng(seed)
    values = np.exp(-np.arange(60) / 6) + 0.02 * rng.normal(size=60)
    if monitor == "val_accuracy":
        values = 1 - values
    return [{monitor: None if epoch % 7 == 3 else float(value)} for epoch, value in enumerate(values)]


def rates_by_keras(history: list[dict], arguments: dict) -> list[float]:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    callback = keras.callbacks.ReduceLROnPlateau(**({"factor": 0.1, "patience": 10} | arguments))
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, row in enumerate(history):
        if any(value is not None for value in row.values()):
            callback.on_epoch_end(epoch, dict(row))
        rates.append(float(model.optimizer.learning_rate.numpy()))
    return rates


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_it_drops_when_keras_does(arguments, seed):
    history = make_history(arguments.get("monitor", "val_loss"), seed)
    schedule, rates = Plateau(0.1, **arguments), []
    for epoch in range(1, len(history) + 1):
        schedule.update(history[:epoch])
        rates.append(float(schedule(tf.constant(epoch))))
    np.testing.assert_allclose(rates, rates_by_keras(history, arguments), rtol=1e-6)
    assert len(set(rates)) > 1, "the history must make it drop"


def test_a_resumed_training_needs_nothing_but_the_history():
    history = make_history("val_loss", seed=0)
    followed, resumed = Plateau(0.1, patience=2), Plateau(0.1, patience=2)
    for epoch in range(1, len(history) + 1):
        followed.update(history[:epoch])
    resumed.update(history)
    assert float(resumed(tf.constant(0))) == float(followed(tf.constant(0)))


def test_a_compiled_step_sees_the_drop():
    schedule = Plateau(0.1, patience=1)
    rate = tf.function(schedule)
    assert float(rate(tf.constant(0, tf.int64))) == pytest.approx(0.1)
    schedule.update([{"val_loss": 1.0}, {"val_loss": 1.0}])
    assert float(rate(tf.constant(1, tf.int64))) == pytest.approx(0.01)


@pytest.mark.parametrize(("monitor", "worse"), [("val_loss", 2.0), ("loss", 2.0), ("val_accuracy", 0.0)])
def test_auto_knows_which_way_is_better(monitor, worse):
    schedule = Plateau(0.1, monitor=monitor, patience=1)
    schedule.update([{monitor: 1.0}, {monitor: worse}])
    assert float(schedule(tf.constant(0))) == pytest.approx(0.01)
    schedule.update([{monitor: 1.0}, {monitor: 2.0 - worse}])
    assert float(schedule(tf.constant(0))) == pytest.approx(0.1)


def test_auto_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="monitor=learning_rate: set mode to min or max"):
        Plateau(0.1, monitor="learning_rate")


@pytest.mark.parametrize("factor", [0.0, 1.0, 2.0])
def test_a_factor_that_does_not_reduce_is_refused(factor):
    with pytest.raises(ValueError, match=f"received factor={factor}"):
        Plateau(0.1, factor=factor)
