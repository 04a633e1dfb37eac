"""The options of the configuration and what their YAML files say of them: every key, its default, its comment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import cast

import yaml

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError, one_line
from cnnlab.plugins.active import active_plugins

INTERNAL = frozenset({"_target_", "defaults", "hydra"})
"""Keys that say how an option is built, not what a user may set."""


@dataclass(frozen=True)
class Key:
    """A key of an option.

    Attributes:
        name: with its path inside the option, such as preprocessing.rescaling.
        default: as it is written; "" for a key that only holds others.
        comment: what the file says of it; "" where it says nothing.
    """

    name: str
    default: str
    comment: str


@dataclass(frozen=True)
class Option:
    """An option of a group, or a command's own file.

    Attributes:
        name: of the file, without its suffix.
        description: the comment that opens the file, in one line per line.
        target: what is built of it; None for nothing.
        keys: its own, then those that its group shares.
    """

    name: str
    description: tuple[str, ...]
    target: str | None
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Group:
    """A group that a command composes.

    Attributes:
        name: such as "model".
        default: the option it takes unless told otherwise; "null" where it takes none.
        comment: what the command's file says of the group.
    """

    name: str
    default: str
    comment: str


def folders(config_dir: str | None = None) -> list[Traversable]:
    """Where options are looked for: the user's own folder first, then the package's, then those of plug-ins."""
    own = [Path(config_dir).expanduser()] if config_dir else []
    return [*own, files("cnnlab.conf"), *(plugin.options for plugin in active_plugins() if plugin.options)]


def option_names(group: str, config_dir: str | None = None) -> list[str]:
    """The options of a group, sorted."""
    inside = [folder / group for folder in folders(config_dir)]
    names = {
        file.name.removesuffix(".yaml")
        for folder in inside
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }
    return sorted(names)


def read_option(name: str, group: str = "", config_dir: str | None = None) -> Option:
    """Read an option, with the keys it takes from the file that its group shares.

    Args:
        name: of the option, or of a command where `group` is empty.
        group: such as "model".
        config_dir: the user's own folder of options, which wins over the package's.

    Raises:
        UserError: the group has no such option, or its file is no YAML.
    """
    for folder in folders(config_dir):
        file = folder / group / f"{name}.yaml" if group else folder / f"{name}.yaml"
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            break
    else:
        known = option_names(group, config_dir)
        hint = did_you_mean(name, known) or f"; options: {', '.join(known)}"
        raise UserError(f"{group}={name}: no such option{hint}")
    try:
        document = yaml.compose(text)
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{group}={name}: {file} is no YAML: {one_line(error)}") from error
    keys = list(_keys(document, text.splitlines())) if isinstance(document, yaml.MappingNode) else []
    for shared in _shared(values.get("defaults", [])):
        keys += read_option(shared, group, config_dir).keys
    return Option(name, tuple(_description(text)), values.get("_target_"), tuple(keys))


def read_groups(command: str) -> list[Group]:
    """The groups that a command composes, in their order, with those of the command it extends."""
    text = (files("cnnlab.conf") / f"{command}.yaml").read_text(encoding="utf-8")
    lines = text.splitlines()
    document = cast(yaml.MappingNode, yaml.compose(text))
    defaults = next(value for key, value in document.value if key.value == "defaults")
    groups = []
    for entry in defaults.value:
        if isinstance(entry, yaml.ScalarNode) and entry.value != "_self_":
            groups += read_groups(entry.value)
        elif isinstance(entry, yaml.MappingNode):
            key, value = entry.value[0]
            if not key.value.startswith("override "):
                groups.append(Group(key.value, value.value, _comment(value, lines)))
    return groups


def _shared(defaults: Sequence[object]) -> list[str]:
    """The files in a defaults list whose keys become the option's own."""
    return [str(entry).removesuffix("@_here_") for entry in defaults if str(entry).endswith("@_here_")]


def _description(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        if not line.startswith("# @package"):
            yield line.removeprefix("#").strip()


def _keys(node: yaml.MappingNode, lines: Sequence[str], path: str = "") -> Iterator[Key]:
    for key, value in node.value:
        name = f"{path}{key.value}"
        if key.value in INTERNAL:
            continue
        block = isinstance(value, yaml.MappingNode) and not value.flow_style
        start, end = value.start_mark, value.end_mark
        default = lines[start.line][start.column : end.column] if start.line == end.line else "…"
        yield Key(name, "" if block else default, _comment(key if block else value, lines))
        if block:
            yield from _keys(value, lines, f"{name}.")


def _comment(node: yaml.Node, lines: Sequence[str]) -> str:
    """What stands behind a value on its line."""
    end = node.end_mark
    return lines[end.line][end.column :].partition("#")[2].strip() if end.line < len(lines) else ""
