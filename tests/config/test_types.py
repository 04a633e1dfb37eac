"""Checking values against type hints."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypedDict

import pytest

from cnnlab.config.durations import DurationLike
from cnnlab.config.ranges import AT_LEAST_1, BELOW_1, check_named_range
from cnnlab.config.types import check, check_keys, shown
from cnnlab.errors import UserError


class Node(TypedDict):
    size: int
    kind: Literal["big", "small"]


FITTING = [
    (1, int),
    (1, float),
    (1.5, float),
    (True, bool),
    ("a", str),
    (None, int | None),
    (3, Literal["auto"] | int),
    ("auto", Literal["auto"] | int),
    ([1, 2, 3], tuple[int, int, int]),
    ([], list[int]),
    ([1.5, 2], list[float]),
    ({"a": 1}, dict[str, int]),
    ({"size": 1, "kind": "big"}, Node),
    ({"size": 1}, Node),
    ({"_target_": "keras.initializers.HeNormal"}, int),
    (object(), Any),
    (2, Annotated[int, AT_LEAST_1] | None),
    ("5 epochs", DurationLike),
]
MISFITS = [
    (True, int, "must be an integer"),
    (1.5, int, "must be an integer"),
    ("1", int, "must be an integer"),
    (True, float, "must be a number"),
    (1, bool, "must be true or false"),
    (1, str, "must be text"),
    (None, int, "k=null: must be an integer"),
    ("x", int | None, "must be an integer or null"),
    ("bgi", Literal["big", "small"], "must be one of big, small; did you mean big?"),
    (1, Literal[True], "must be true"),
    ([1, 2], tuple[int, int, int], "must be a list of 3 values"),
    ([1, "b"], list[int], r"k\[1\]=b: must be an integer"),
    ({"a": "b"}, dict[str, int], r"k\.a=b: must be an integer"),
    ({"szie": 1}, Node, r"k\.szie=1: no such key in k; did you mean size\?"),
    ({"zzz": 1}, Node, "the keys are size, kind"),
    ([], dict, "must be a mapping"),
    (0, Annotated[int, AT_LEAST_1] | None, "k=0: must be at least 1"),
    (float("nan"), Annotated[float, BELOW_1], "must be at least 0 and below 1"),
    ("5 weeks", DurationLike, "is no duration"),
    ("5 minutes", DurationLike, "minutes are no number of steps"),
]


def refusal(check: Callable[..., None], *arguments: object) -> str | None:
    """What a check says against a value; None where it passes."""
    try:
        check(*arguments)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(("value", "hint"), FITTING)
def test_accepts_what_fits(value, hint):
    assert refusal(check, value, hint, "k") is None


@pytest.mark.parametrize(("value", "hint", "message"), MISFITS)
def test_refuses_what_does_not_fit_and_says_what_would(value, hint, message):
    with pytest.raises(UserError, match=message):
        check(value, hint, "k")


def test_unknown_keys_at_the_root_are_named_without_a_prefix():
    with pytest.raises(UserError, match=r"^sede=1: no such key; did you mean seed\?$"):
        check_keys({"sede": 1}, ["seed", "name"], "")


@pytest.mark.parametrize(
    ("name", "value"), [("dropout", 1), ("input_dropout", -0.1), ("l2", -1e-4), ("learning_rate", 0), ("momentum", 2)]
)
def test_numbers_whose_name_says_their_range_are_checked(name, value):
    with pytest.raises(UserError, match=f"^model.{name}="):
        check_named_range(name, value, f"model.{name}")


def test_other_names_and_values_that_are_no_numbers_pass():
    for name, value in (("shift", -3), ("dropout", None), ("momentum", "${x}")):
        assert refusal(check_named_range, name, value, f"group.{name}") is None


def test_values_are_shown_as_they_are_written_on_the_command_line():
    assert shown(None) == "null"
    assert shown([1, True, {"a": None}]) == "[1,true,{a:null}]"
    assert len(shown("x" * 1000)) < 100
