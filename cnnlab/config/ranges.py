"""The ranges that numbers in a configuration must lie in."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.config.types import shown
from cnnlab.errors import UserError


@dataclass(frozen=True)
class Range:
    """A rule for a number, to be used in an Annotated type hint.

    Attributes:
        text: the rule in words, as it continues "must be".
        holds: the rule.
    """

    text: str
    holds: Callable[[float], bool]

    def __call__(self, value: float, key: str) -> None:
        """Raise UserError, naming `key`, where `value` is outside."""
        if not (math.isfinite(value) and self.holds(value)):
            raise UserError(f"{key}={shown(value)}: must be {self.text}")


POSITIVE = Range("greater than 0", lambda value: value > 0)
AT_LEAST_0 = Range("at least 0", lambda value: value >= 0)
AT_LEAST_1 = Range("at least 1", lambda value: value >= 1)
AT_LEAST_2 = Range("at least 2", lambda value: value >= 2)
SHARE = Range("between 0 and 1, neither included", lambda value: 0 < value < 1)
UNIT = Range("from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_1 = Range("at least 0 and below 1", lambda value: 0 <= value < 1)
SEED = Range("from 0 to 2147483647", lambda value: 0 <= value < 2**31)  # an int32, in TensorFlow's generators


def not_empty(value: Sequence[Any], key: str) -> None:
    """A rule for a list, likewise: raise UserError where it is empty."""
    if not value:
        raise UserError(f"{key}=[]: give one at least, or leave it out for its default")


# What these arguments mean is the same in every class and function that has them.
BY_NAME: Mapping[str, Range] = {
    "learning_rate": POSITIVE,
    "weight_decay": AT_LEAST_0,
    "l1": AT_LEAST_0,
    "l2": AT_LEAST_0,
    "momentum": UNIT,
    "beta_1": BELOW_1,
    "beta_2": BELOW_1,
    "rho": BELOW_1,
    "clipnorm": POSITIVE,
    "global_clipnorm": POSITIVE,
    "clipvalue": POSITIVE,
    "ema_momentum": UNIT,
    "stddev": AT_LEAST_0,
    "variance": POSITIVE,
    "batch_size": AT_LEAST_1,
    "dropout": BELOW_1,
}


def check_named_range(name: str, value: Any, key: str) -> None:
    """Check a number by the name of the argument it is for; `input_dropout` counts as `dropout`.

    Raises:
        UserError: it is outside the range that arguments of this name have.
    """
    rule = BY_NAME.get("dropout" if name.endswith("dropout") else name)
    if rule and isinstance(value, int | float) and not isinstance(value, bool):
        rule(value, key)
