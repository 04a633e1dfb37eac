"""Lengths and intervals as people write them."""

import pytest

from cnnlab.config.durations import Duration, parse_duration, parse_training_duration
from cnnlab.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 epochs", Duration(5, "epochs")),
        ("1 epoch", Duration(1, "epochs")),
        ("300 steps", Duration(300, "steps")),
        ("1e3 steps", Duration(1000, "steps")),
        ("10 %", Duration(10, "percent")),
        ("2.5%", Duration(2.5, "percent")),
        ("10 minutes", Duration(10, "minutes")),
        ("7", Duration(7, "epochs")),
        (7, Duration(7, "epochs")),
        (0.5, Duration(0.5, "epochs")),
        ("0 steps", Duration(0, "steps")),
    ],
)
def test_reads_every_unit_and_takes_bare_numbers_for_epochs(text, expected):
    assert parse_duration(text, "key") == expected


@pytest.mark.parametrize("text", ["-1 epochs", "5 weeks", "soon", "", "5 6", True, None, "nan", "inf steps"])
def test_refuses_what_is_no_duration_and_names_the_key(text):
    with pytest.raises(UserError, match=r"^trainer\.validate_every=.*is no duration"):
        parse_duration(text, "trainer.validate_every")


@pytest.mark.parametrize(
    ("text", "steps"),
    [("2 epochs", 200), ("0.5 epochs", 50), ("30 steps", 30), ("10 %", 40), ("0.1 %", 0), ("0.3 %", 1)],
)
def test_comes_to_steps(text, steps):
    assert parse_duration(text, "key").steps(steps_per_epoch=100, total_steps=400) == steps


def test_minutes_come_to_no_number_of_steps():
    with pytest.raises(UserError, match="10 minutes"):
        parse_duration("10 minutes", "key").steps(100, 400)
    with pytest.raises(UserError, match=r"schedule\.warmup=10 minutes"):
        parse_training_duration("10 minutes", "schedule.warmup")


@pytest.mark.parametrize("text", ["5 epochs", "300 steps", "10 %", "1.5 minutes"])
def test_is_written_as_it_is_read(text):
    assert str(parse_duration(text, "key")) == text
