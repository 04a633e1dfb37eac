"""The schedules as the configuration describes them: their curves, durations, warm-up, and mistakes."""

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra import compose, initialize_config_module
from keras.optimizers.schedules import LearningRateSchedule

import cnnlab.conf
from cnnlab.errors import UserError
from cnnlab.schedules.history import HistorySchedule
from cnnlab.schedules.schedule import build_schedule

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "schedule").glob("*.yaml"))


def build(option: str, *overrides: str, learning_rate: float = 0.1, steps_per_epoch: int = 10, epochs: int = 10):
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        node = compose(overrides=[f"+schedule={option}", *(f"schedule.{override}" for override in overrides)]).schedule
    assert node.name == option
    return build_schedule(node, learning_rate, steps_per_epoch, steps_per_epoch * epochs)


def curve(schedule: LearningRateSchedule, steps: Iterable[int] = range(100)) -> np.ndarray:
    """What a compiled training step sees at each step."""
    traces = []

    @tf.function
    def rate(step):
        traces.append(step)
        return schedule(step)

    values = [rate(tf.constant(step, tf.int64)) for step in steps]
    assert all(value.dtype == tf.float32 and value.shape == () for value in values)
    assert len(traces) == 1, "a new step must not mean a new trace"
    return np.array([float(value) for value in values])


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_gives_an_optimizer_its_learning_rates(option):
    schedule, weight = build(option), keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(schedule)
    for _ in range(2):
        optimizer.apply([tf.constant(1.0)], [weight])
    assert float(weight) == pytest.approx(-sum(float(schedule(tf.constant(step, tf.int64))) for step in range(2)))


@pytest.mark.parametrize("option", OPTIONS)
def test_the_step_alone_decides(option):
    forwards = curve(build(option, "warmup=5 steps"), range(20))
    resumed = build(option, "warmup=5 steps")
    np.testing.assert_array_equal(curve(resumed, [*range(13, 20), *range(5)]), forwards[[*range(13, 20), *range(5)]])


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_can_be_saved_and_loaded(option):
    schedule = build(option, "warmup=5 steps")
    loaded = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    steps = range(0, 100, 9)
    np.testing.assert_array_equal(curve(loaded, steps), curve(schedule, steps))


def test_constant_stays():
    np.testing.assert_array_equal(curve(build("constant")), np.full(100, np.float32(0.1)))


def test_step_drops_with_the_first_step_of_each_boundary():
    values = curve(build("step", "boundaries=[3 epochs,50 steps,75 %]", "factor=0.1"))
    expected = np.repeat([0.1, 0.01, 0.001, 0.0001], [30, 20, 25, 25])
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_step_refuses_boundaries_out_of_order():
    with pytest.raises(UserError, match=r"schedule.*boundaries.*earliest first.*\[50, 30\]"):
        build("step", "boundaries=[50 steps,30 steps]")


def test_inverse_time_is_the_decay_of_older_keras():
    values = curve(build("inverse_time", "decay_rate=0.01"))
    np.testing.assert_allclose(values, 0.1 / (1 + 0.01 * np.arange(100)), rtol=1e-6)


def test_cosine_falls_over_the_whole_training():
    values = curve(build("cosine", "alpha=0.1"), range(120))
    progress = np.minimum(np.arange(120) / 100, 1)
    np.testing.assert_allclose(values, 0.1 * (0.9 * (1 + np.cos(np.pi * progress)) / 2 + 0.1), rtol=1e-5)


def test_bare_numbers_are_epochs():
    np.testing.assert_array_equal(
        curve(build("cosine", "decay_steps=5")), curve(build("cosine", "decay_steps=50 steps"))
    )


def test_warm_up_rises_linearly_to_the_schedule():
    cold, warm = curve(build("cosine")), curve(build("cosine", "warmup=2 epochs"))
    ramp = np.minimum((np.arange(100) + 1) / 20, 1)
    np.testing.assert_allclose(warm, cold * ramp, rtol=1e-6)


@pytest.mark.parametrize(
    ("warmup", "told"), [("20 epochs", "and the training has 100; it ends at 0.5 of it"), ("10", "")]
)
def test_a_warm_up_that_the_training_does_not_outlast_is_told(warmup, told, caplog):
    assert curve(build("cosine", f"warmup={warmup}"))[49] < 0.05
    assert bool(caplog.text) == bool(told)
    assert told in caplog.text


def test_warm_up_lets_plateau_follow_the_history():
    schedule = build("plateau", "warmup=1 epochs", "patience=1")
    schedule.update([{"val_loss": 1.0}, {"val_loss": 1.0}])
    np.testing.assert_allclose(curve(schedule, range(20)), 0.01 * np.minimum((np.arange(20) + 1) / 10, 1), rtol=1e-6)


@pytest.mark.parametrize(("option", "follows"), [("plateau", True), ("cosine", False)])
def test_a_warm_up_follows_the_history_where_its_schedule_does(option, follows):
    schedule = build(option, "warmup=1 epochs")
    assert isinstance(schedule, HistorySchedule) == follows
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert isinstance(again, HistorySchedule) == follows


def test_a_whole_number_is_a_learning_rate_too():
    np.testing.assert_array_equal(curve(build("cosine", learning_rate=1)), curve(build("cosine", learning_rate=1.0)))


@pytest.mark.parametrize("learning_rate", [0, -0.1, float("nan")])
def test_a_learning_rate_must_be_positive(learning_rate):
    with pytest.raises(UserError, match=rf"optimizer\.learning_rate={learning_rate}: must be greater than 0"):
        build("constant", learning_rate=learning_rate)


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [("constant", "warmup", "soon"), ("cosine", "decay_steps", "-5"), ("step", "boundaries", "[3 fortnights]")],
)
def test_a_value_that_is_no_duration_is_refused_by_its_key(option, key, value):
    with pytest.raises(UserError, match=rf"schedule\.{key}=.*no duration"):
        build(option, f"{key}={value}")


def test_a_duration_of_no_step_is_refused():
    with pytest.raises(UserError, match=r"schedule.*decay_steps.*must be > 0"):
        build("cosine", "decay_steps=0 epochs")
