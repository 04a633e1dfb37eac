"""Checking plain configuration values against type hints."""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UnknownKey, WrongType

_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def check(value: Any, hint: Any, key: str) -> None:
    """Check that `value` is of the type `hint`.

    Args:
        value: a plain value of a configuration: None, bool, int, float, str, list or dict.
        hint: int (bools excluded), float (integers included), bool, str, None, a union, Literal, list, tuple
            or dict with or without element types, a TypedDict (no other keys allowed; missing ones are), or
            Annotated with functions `f(value, key)` that raise UserError. Anything else accepts every value.
        key: the full key of the value, for the error message.

    Raises:
        WrongType: the value is not of that type.
        UserError: something else is wrong inside it.
    """
    if isinstance(value, dict) and "_target_" in value:
        return  # an object by the time it is passed on
    for member in members(hint):
        if _fits(value, member):
            _check_inside(value, member, key)
            return
    choices = [choice for member in members(hint) if get_origin(member) is Literal for choice in get_args(member)]
    expected = " or ".join(dict.fromkeys(_describe(member) for member in members(hint)))
    told = f"{key}={shown(value)}"
    way_out = "; leave it out for its default" if value is None else did_you_mean(value, choices)
    raise WrongType(key, f"{told}: must be {expected}{way_out}")


def check_keys(given: Mapping[str, Any], known: Sequence[str], key: str) -> None:
    """Check that a node has no keys but `known`.

    Raises:
        UnknownKey: it has another; the message names the nearest known one.
    """
    for name in given:
        if name not in known:
            full = f"{key}.{name}" if key else str(name)
            where = f" in {key}" if key else ""
            hint = did_you_mean(name, known) or f"; the keys are {', '.join(known)}"
            raise UnknownKey(full, known, f"{full}={shown(given[name])}: no such key{where}{hint}")


def shown(value: Any) -> str:
    """A value as it is written on the command line, shortened where it is long."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list():
            text = f"[{','.join(shown(item) for item in value)}]"
        case dict():
            text = f"{{{','.join(f'{name}:{shown(item)}' for name, item in value.items())}}}"
        case _:
            text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def members(hint: Any) -> Iterator[Any]:
    """The members of a union, also of unions in it; any other hint is its own only member."""
    if get_origin(hint) in (Union, UnionType):
        for member in get_args(hint):
            yield from members(member)
    else:
        yield hint


def _fits(value: Any, hint: Any) -> bool:
    """Whether the outermost type fits; what is inside is checked by `_check_inside`."""
    origin = get_origin(hint) or hint
    if origin is Annotated:
        return any(_fits(value, member) for member in members(get_args(hint)[0]))
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if origin in (None, NoneType):
        return value is None
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (bool, str):
        return isinstance(value, origin)
    if origin in (list, tuple, Sequence):
        return isinstance(value, list) and (not _length(hint) or len(value) == _length(hint))
    if origin in (dict, Mapping) or is_typeddict(origin):
        return isinstance(value, dict)
    return True


def _length(hint: Any) -> int | None:
    """The length of a tuple hint like tuple[int, int, int]; None where any length will do."""
    arguments = get_args(hint)
    return len(arguments) if get_origin(hint) is tuple and Ellipsis not in arguments else None


def _check_inside(value: Any, hint: Any, key: str) -> None:
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        check(value, arguments[0], key)
        for rule in arguments[1:]:
            rule(value, key)
    elif is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        check_keys(value, list(hints), key)
        for name, item in value.items():
            check(item, hints[name], f"{key}.{name}" if key else name)
    elif isinstance(value, list) and arguments:
        item_hints = arguments if _length(hint) else arguments[:1] * len(value)
        for index, (item, item_hint) in enumerate(zip(value, item_hints, strict=True)):
            check(item, item_hint, f"{key}[{index}]")
    elif isinstance(value, dict) and len(arguments) == 2:
        for name, item in value.items():
            check(item, arguments[1], f"{key}.{name}")


def _describe(hint: Any) -> str:
    origin = get_origin(hint) or hint
    if origin is Annotated:
        return " or ".join(_describe(member) for member in members(get_args(hint)[0]))
    if origin is Literal:
        choices = [shown(choice) for choice in get_args(hint)]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if origin in (list, tuple, Sequence):
        length = _length(hint)
        return f"a list of {length} values" if length else "a list"
    if origin in (dict, Mapping) or is_typeddict(origin):
        return "a mapping"
    return _NAMES.get(NoneType if origin is None else origin, "another value")
