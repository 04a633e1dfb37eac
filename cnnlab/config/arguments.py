"""Ordering the arguments of a command, and quoting those that are paths, before Hydra parses them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn, cast

from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from omegaconf import OmegaConf

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError

_KEYS = (
    r"run|resume|runs|images|weights|weights_map|model\.weights|output|data|dataset\.root|hydra\.run\.dir"
    r"|hydra\.sweep\.dir|method\.(?:images|content|style|weights)"
)
_PATH = re.compile(rf"(?P<key>\+{{0,2}}(?:{_KEYS}))=(?P<value>.*)", re.DOTALL)
_LISTS = ("runs", "images", "method.images")
_SWEPT = ("dataset.root", "weights", "weights_map", "model.weights", "method.content", "method.style", "method.weights")
"""Of which a command with -m may be given several; the other paths belong to the command itself."""
_TEXT = re.compile(r"(?P<key>\+{0,2}(?:baseline|dataset\.group))=(?P<value>.*)", re.DOTALL)
"""The name of a configuration, full of `=` and commas, and a regular expression are quoted like a path."""

_CHOICE = re.compile(r"choice\((.*)\)", re.DOTALL)


def prepare(arguments: Sequence[str]) -> list[str]:
    """Order and quote the arguments of a command so that Hydra takes them as they are meant.

    Flags go first, because Hydra knows no overrides after them. Paths are quoted, because Hydra's grammar
    gives `=`, commas, spaces and braces a meaning; values that are quoted already, `null` and numbers of images stay as
    they are; in lists of runs or images the globs and the paths that are there are quoted. With -m a path that is
    there as it stands is one, commas and all, and else it is a list of paths, one job each.

    Raises:
        UserError: a flag that Hydra does not know, a value that the flag does not take, a value without a key,
            or a key that stands for a path without a value: a shell variable that was not set.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # of this one parser, which would print and exit
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
    return [*flags, *(quote_path(_with_home(override), sweep=parsed.multirun) for override in overrides)]


def _with_home(override: str) -> str:
    """hydra.run.dir with the home directory for ~, which Hydra would take for a name; other paths expand later."""
    key, _, value = override.partition("=")
    path = _unquoted(value)
    return f"{key}={Path(path).expanduser()}" if key == "hydra.run.dir" and path.startswith("~") else override


def path_argument(arguments: Sequence[str], key: str) -> str | None:
    """The path that the last `key=…` among the arguments names; None where there is none."""
    path = None
    for argument in arguments:
        match = _PATH.fullmatch(argument)
        if match and match["key"].lstrip("+") == key:
            path = _unquoted(match["value"])
    return None if path in (None, "", "null") else path


def given_overrides(hydra: HydraConf) -> list[str]:
    """The overrides of a job as they were given, with their interpolations, by Hydra's own configuration."""
    return cast(list[str], OmegaConf.to_container(hydra.overrides.task))


def config_folders(hydra: HydraConf) -> list[str]:
    """What --config-dir named on the command line, by Hydra's own configuration."""
    sources = hydra.runtime.config_sources
    return [source.path for source in sources if source.provider == "command-line"]


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


def is_path(key: str) -> bool:
    """Whether the value of a key is a path."""
    return _PATH.fullmatch(f"{key}=") is not None


def quote_path(override: str, *, sweep: bool = False) -> str:
    """Quote the value of an override whose key stands for a path or a name; others stay as they are.

    Args:
        override: as given.
        sweep: whether `a,b` and `choice(a,b)` may be several paths.

    Raises:
        UserError: one of several paths is empty.
    """
    match = _PATH.fullmatch(override) or _TEXT.fullmatch(override)
    if match is None:
        return override
    key, value = match["key"], match["value"]
    if sweep and key.lstrip("+") in _SWEPT and not _exists(value):
        choice = _CHOICE.fullmatch(value)
        items = [item.strip() for item in _items((choice[1] if choice else value).split(","))]
        if choice or len(items) > 1:
            if "" in items:
                raise UserError(f"{override}: one of the paths is empty")
            return f"{key}={','.join(i if i == 'null' or _is_quoted(i) else quoted(i) for i in items)}"
    if key.lstrip("+") in _LISTS and value.startswith("[") and value.endswith("]"):
        items = [item.strip() for item in _items(value[1:-1].split(","))]
        return f"{key}=[{','.join(quoted(item) if _is_plain_path(item) else item for item in items)}]"
    is_count = key.lstrip("+") == "method.images" and value.isdecimal()
    if value == "null" or is_count or _is_quoted(value):
        return override
    return f"{key}={quoted(value)}"


def _items(parts: Sequence[str]) -> Iterator[str]:
    """The items of a list that was split at its commas; a path that is there, or is quoted, is one, commas and all."""
    start = 0
    while start < len(parts):
        ends = range(len(parts), start, -1)
        joined = ((end, ",".join(parts[start:end])) for end in ends)
        end, item = next((found for found in joined if _is_whole(found[1].strip())), (start + 1, parts[start]))
        yield item
        start = end


def _is_plain_path(item: str) -> bool:
    """Whether an item of a list is a path that is there, or has what only a path, a run's or a glob, would have."""
    return not _is_quoted(item) and (_exists(item) or any(mark in item for mark in "=*?"))


def _is_whole(item: str) -> bool:
    return _is_quoted(item) or _exists(item)


def _exists(path: str) -> bool:
    return bool(path) and not path.isdecimal() and Path(path).expanduser().exists()


def quoted(value: str) -> str:
    """A text in Hydra's quotes, in which a backslash counts only before a quote, so only there it is doubled."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + (r"\'" if found[2] else ""), value)
    return f"'{escaped}'"


def unquote_path(override: str) -> str:
    """Undo `quote_path`: the override as a shell would be given it; several paths stay quoted where they need it."""
    match = _PATH.fullmatch(override) or _TEXT.fullmatch(override)
    if match is None:
        return override
    key, value = match["key"], match["value"]
    if _is_quoted(value):
        return f"{key}={_unquoted(value)}"
    plain = f"{key}={','.join(_unquoted(item) for item in _items(value.split(',')))}"
    return plain if quote_path(plain, sweep=True) == override else override


def _unquoted(value: str) -> str:
    if not _is_quoted(value):
        return value
    escapes = rf"(\\+)({value[0]}|\Z)"
    return re.sub(escapes, lambda found: "\\" * (len(found[1]) // 2) + found[2], value[1:-1])


def _is_quoted(value: str) -> bool:
    """Whether all of it is one string in quotes: 'a','b' is two."""
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return False
    ends = re.findall(rf"(\\*)({value[0]}|\Z)", value[1:-1])  # an odd number of backslashes escapes a quote
    return all(len(backslashes) % 2 == bool(quote) for backslashes, quote in ends)
