"""Choosing the best model and stopping early."""

import math

import pytest

from cnnlab.training.checkpoint_monitor import CheckpointMonitor
from cnnlab.training.loop_state import LoopState


def update_all(checkpoint_monitor: CheckpointMonitor, values: list[float]) -> tuple[LoopState, list[bool]]:
    state, verdicts = LoopState(), []
    for step, value in enumerate(values, 1):
        state.step = step
        state.validation = validation = {"val_loss": value, "val_accuracy": value}
        verdicts.append(checkpoint_monitor.update(state, step, validation))
    return state, verdicts


def test_the_highest_accuracy_is_the_best_and_a_tie_keeps_the_earlier():
    state, verdicts = update_all(CheckpointMonitor("val_accuracy", "max", 0.0, None), [0.5, 0.7, 0.7, 0.6])
    assert verdicts == [True, True, False, False]
    assert (state.best.step, state.best.value) == (2, 0.7)


def test_the_lowest_loss_is_the_best():
    state, verdicts = update_all(CheckpointMonitor("val_loss", "min", 0.0, None), [2.0, 1.0, 1.5])
    assert verdicts == [True, True, False]
    assert state.best.value == 1.0


def test_nan_is_never_the_best():
    state, verdicts = update_all(CheckpointMonitor("val_loss", "min", 0.0, None), [math.nan, 1.0, math.nan])
    assert verdicts == [False, True, False]
    assert state.best.value == 1.0


@pytest.mark.parametrize(("values", "stops_early"), [([0.5, 0.4, 0.3], True), ([0.5, 0.4, 0.6], False)])
def test_patience_counts_validations_without_progress(values, stops_early):
    checkpoint_monitor = CheckpointMonitor("val_accuracy", "max", 0.0, patience=2)
    state, _ = update_all(checkpoint_monitor, values)
    assert checkpoint_monitor.stops_early(state) is stops_early


def test_a_gain_below_min_delta_is_the_best_but_no_progress():
    checkpoint_monitor = CheckpointMonitor("val_accuracy", "max", 0.1, patience=2)
    state, verdicts = update_all(checkpoint_monitor, [0.5, 0.55, 0.58])
    assert verdicts == [True, True, True]
    assert checkpoint_monitor.stops_early(state)


def test_the_state_survives_json():
    state, _ = update_all(CheckpointMonitor("val_accuracy", "max", 0.0, 3), [0.5, 0.4])
    assert LoopState.from_json(state.to_json()) == state
