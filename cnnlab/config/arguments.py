"""The command line on its way to Hydra."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError

_KEYS = (
    r"run|resume|runs|images|weights|model\.weights|output|data|dataset\.root|hydra\.run\.dir|hydra\.sweep\.dir"
    r"|method\.(?:images|content|style|weights)"
)
_PATH = re.compile(rf"(?P<key>\+{{0,2}}(?:{_KEYS}))=(?P<value>.*)", re.DOTALL)
_LISTS = ("runs", "images", "method.images")


def prepare(arguments: Sequence[str]) -> list[str]:
    """Order and quote the arguments of a command so that Hydra takes them as they are meant.

    Flags go first, because Hydra knows no overrides after them. Paths are quoted, because Hydra's grammar
    gives `=`, commas, spaces and braces a meaning; values that are quoted already, `null` and numbers of images stay as
    they are; in lists of runs or images the paths that are there are quoted.

    Raises:
        UserError: a flag that Hydra does not know, a value that the flag does not take, a value without a key,
            or a key that stands for a path without a value: a shell variable that was not set.
    """
    parser = get_args_parser()
    parser.error = _refuse
    parsed, unknown = parser.parse_known_intermixed_args(list(arguments))
    for flag in unknown:
        known = [option for action in parser._actions for option in action.option_strings]
        raise UserError(f"{flag}: no such flag{did_you_mean(flag, known)}")
    overrides = list(parsed.overrides)
    for override in overrides:
        if override.startswith("="):
            raise UserError(f"{override}: expected key=value")
        match = _PATH.fullmatch(override)
        if match and not match["value"]:
            raise UserError(f"{override}: the path is empty")
    flags = list(arguments)
    for override in overrides:
        flags.remove(override)
    return [*flags, *(quote_path(override) for override in overrides)]


def path_argument(arguments: Sequence[str], key: str) -> str | None:
    """The path that the last `key=…` among the arguments names; None where there is none."""
    path = None
    for argument in arguments:
        match = _PATH.fullmatch(argument)
        if match and match["key"].lstrip("+") == key:
            path = _unquoted(match["value"])
    return None if path in (None, "", "null") else path


def given_overrides(hydra: DictConfig) -> list[str]:
    """The overrides of a job as they were given, with their interpolations, by Hydra's own configuration."""
    return OmegaConf.to_container(hydra.overrides.task)


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


def quote_path(override: str) -> str:
    """Quote the value of an override whose key stands for a path; others stay as they are."""
    match = _PATH.fullmatch(override)
    if match is None:
        return override
    key, value = match["key"], match["value"]
    if key.lstrip("+") in _LISTS and value.startswith("[") and value.endswith("]"):
        return f"{key}=[{','.join(_quoted_items(value[1:-1].split(',')))}]"
    is_count = key.lstrip("+") == "method.images" and value.isdecimal()
    if value == "null" or is_count or _is_quoted(value):
        return override
    return f"{key}={_quoted(value)}"


def _quoted_items(parts: Sequence[str]) -> Iterator[str]:
    """The items of a list that was split at its commas; a path that is there is one item, whatever its commas."""
    start = 0
    while start < len(parts):
        ends = range(len(parts), start, -1)
        end = next((end for end in ends if _exists(",".join(parts[start:end]).strip())), None)
        item = ",".join(parts[start : end or start + 1])
        yield _quoted(item.strip()) if end else item
        start = end or start + 1


def _exists(path: str) -> bool:
    return bool(path) and not path.isdecimal() and Path(path).expanduser().exists()


def _quoted(value: str) -> str:
    """In Hydra's quotes a backslash counts only before a quote, so only there it is doubled."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + (r"\'" if found[2] else ""), value)
    return f"'{escaped}'"


def unquote_path(override: str) -> str:
    """Undo `quote_path`: the override as a shell would be given it."""
    match = _PATH.fullmatch(override)
    return override if match is None else f"{match['key']}={_unquoted(match['value'])}"


def _unquoted(value: str) -> str:
    if not _is_quoted(value):
        return value
    escapes = rf"(\\+)({value[0]}|\Z)"
    return re.sub(escapes, lambda found: "\\" * (len(found[1]) // 2) + found[2], value[1:-1])


def _is_quoted(value: str) -> bool:
    return len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
