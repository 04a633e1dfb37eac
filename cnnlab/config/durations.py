"""Lengths and intervals in the user's unit: "5 epochs", "300 steps", "10 %" or "10 minutes"."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from cnnlab.errors import UserError

Unit = Literal["epochs", "steps", "percent", "minutes"]

_UNITS: dict[str, Unit] = {
    "": "epochs",
    "epoch": "epochs",
    "epochs": "epochs",
    "step": "steps",
    "steps": "steps",
    "%": "percent",
    "percent": "percent",
    "minute": "minutes",
    "minutes": "minutes",
}
_PATTERN = re.compile(r"\s*(?P<value>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)\s*(?P<unit>[a-z]*|%)\s*", re.IGNORECASE)
_EXAMPLES = '"5 epochs", "300 steps", "10 %" or, for checkpoints, "10 minutes"'


@dataclass(frozen=True)
class Duration:
    """A non-negative length of time or training.

    Attributes:
        value: how many of `unit`.
        unit: epochs, steps, percent of the training's length, or minutes of wall time.
    """

    value: float
    unit: Unit

    def steps(self, steps_per_epoch: int, total_steps: int) -> int:
        """The length in optimizer steps, rounded to the nearest.

        Args:
            steps_per_epoch: steps in one epoch.
            total_steps: steps in the whole training, of which percents are taken.

        Raises:
            UserError: the duration is in minutes, which no number of steps equals.
        """
        match self.unit:
            case "steps":
                return round(self.value)
            case "epochs":
                return round(self.value * steps_per_epoch)
            case "percent":
                return round(self.value / 100 * total_steps)
            case "minutes":
                raise UserError(f"{self}: minutes are no number of steps; use epochs, steps or %")

    def __str__(self) -> str:
        return f"{self.value:g} {'%' if self.unit == 'percent' else self.unit}"


def parse_duration(text: str | float, key: str) -> Duration:
    """Read a duration as it stands in a configuration.

    Args:
        text: "5 epochs", "300 steps", "10 %", "10 minutes"; a bare number means epochs.
        key: the configuration key it stands under, for the error message.

    Raises:
        UserError: `text` is no duration, or a negative one.
    """
    match = None if isinstance(text, bool) else _PATTERN.fullmatch(str(text))
    unit = _UNITS.get(match["unit"].lower()) if match else None
    if match is None or unit is None or not math.isfinite(float(match["value"])):
        raise UserError(f"{key}={text}: is no duration; write {_EXAMPLES} (a bare number means epochs)")
    return Duration(float(match["value"]), unit)


def parse_training_duration(text: str | float, key: str) -> Duration:
    """Read a duration that must come to a number of steps.

    Raises:
        UserError: `text` is no duration, negative, or in minutes.
    """
    duration = parse_duration(text, key)
    if duration.unit == "minutes":
        raise UserError(f"{key}={text}: minutes are no number of steps; use epochs, steps or %")
    return duration


DurationLike = Annotated[str | int | float, parse_training_duration]
"""The type hint of an argument that is a length of training: checked as soon as it is configured."""

DurationInSteps = Annotated[int, parse_training_duration]
"""The same of an argument that `build_schedule` converts: a duration where it is configured, a number of steps then."""

TimedDurationLike = Annotated[str | int | float, parse_duration]
"""The same for an interval that may also be in minutes."""
