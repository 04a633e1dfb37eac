"""When things happen in a training, all in steps."""

from types import SimpleNamespace

import pytest

from cnnlab.errors import UserError
from cnnlab.training.plan import build_plan

TRAINER = {
    "epochs": 3,
    "steps": None,
    "batch_size": 10,
    "steps_per_epoch": None,
    "validate_every": "1 epoch",
    "checkpoint_every": "1 epoch",
}


def plan(train_size: int = 105, **changes):
    return build_plan(SimpleNamespace(**TRAINER | changes), train_size)


def test_an_epoch_is_one_pass_without_the_incomplete_batch():
    made = plan()
    assert (made.steps_per_epoch, made.total_steps) == (10, 30)


def test_steps_win_over_epochs_and_cut_the_last_epoch_short():
    made = plan(steps=25)
    assert made.total_steps == 25
    assert [step for step in range(1, 26) if made.ends_epoch(step)] == [10, 20, 25]
    assert made.epoch_of(25) == 3


def test_an_epoch_may_be_longer_or_shorter_than_a_pass():
    assert plan(steps_per_epoch=4).total_steps == 12
    assert plan(steps_per_epoch=40).total_steps == 120


def test_there_is_always_a_last_validation_and_a_last_checkpoint():
    made = plan(validate_every="2 epochs", checkpoint_every="7 steps")
    assert [step for step in range(1, 31) if made.validates(step)] == [20, 30]
    assert [step for step in range(1, 31) if made.checkpoints(step)] == [7, 14, 21, 28, 30]


def test_stops_are_wherever_something_happens():
    made = plan(validate_every="4 steps", checkpoint_every="10 minutes")
    stops, step = [], 0
    while step < made.total_steps:
        step = made.next_stop(step)
        stops.append(step)
    assert stops == [4, 8, 10, 12, 16, 20, 24, 28, 30]


def test_an_interval_in_minutes_is_not_one_in_steps():
    made = plan(checkpoint_every="10 minutes")
    assert made.checkpoint_seconds == 600
    assert [step for step in range(1, 31) if made.checkpoints(step)] == [30]


def test_percent_is_of_the_whole_training():
    assert plan(validate_every="50 %").validate_every == 15


def test_a_batch_larger_than_the_split_is_refused_with_the_largest_that_fits():
    with pytest.raises(UserError, match=r"trainer\.batch_size=200.*only 105.*at most 105"):
        plan(batch_size=200)


def test_an_interval_below_one_step_is_refused():
    with pytest.raises(UserError, match=r"trainer\.validate_every=0 steps"):
        plan(validate_every="0 steps")
