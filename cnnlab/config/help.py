"""`cnnlab COMMAND --help`: what the YAML files say of the groups and keys that the command uses."""

import shutil
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from cnnlab.config.options import Group, Key, Option, option_names, read_groups, read_option
from cnnlab.config.plugin_options import project_arguments
from cnnlab.config.resolvers import register_resolvers
from cnnlab.config.schema import COMMANDS, GROUPS, METHODS, SEVERAL
from cnnlab.config.signatures import find_signature
from cnnlab.config.types import members, shown
from cnnlab.errors import UserError

FLAGS = (
    "Flags: --cfg job prints the composed configuration, --info defaults what it is composed of, -m key=a,b runs one "
    "job per value, --config-dir DIR adds YAML files of your own, --hydra-help explains Hydra's further flags."
)
LEFT_COLUMN = 38
"""Characters of `key=default`; what is longer has its comment on the next line."""


def command_help(command: str, summary: str, uses: Collection[str] | None, arguments: Sequence[str]) -> str:
    """The help of a command: its groups with their options, its keys, and the keys of every chosen option.

    Args:
        command: its name, which is also that of its file in conf/.
        summary: what it does, in one line.
        uses: the groups and keys it uses of those that conf/train.yaml has; None for all.
        arguments: the command line after the command. `group=option` shows the keys of that option in place of the
            default's; `--config-dir DIR` adds the options of a folder.

    Raises:
        UserError: there is no such option.
    """
    arguments = [*project_arguments(bool(uses is None or uses), arguments), *arguments]
    config_dir = _flag(arguments, "--config-dir", "-cd")
    groups = [
        group for group in _chosen(read_groups(command), arguments) if uses is None or group.name in {*uses, *METHODS}
    ]
    keys = list(read_option(command).keys)
    if groups and command != "train":
        keys += [key for key in read_option("train").keys if key.name.partition(".")[0] in (uses or ())]
    keys = [key for key in keys if key.name not in {group.name for group in groups}]
    blocks = [
        f"cnnlab {command}: {summary}",
        f"usage: cnnlab {command} {'[group=option] ' if groups else ''}[key=value] …",
    ]
    if groups:
        blocks.append(_groups(groups, config_dir))
    blocks.append(_table("Keys:", _explained(keys, get_type_hints(COMMANDS[command], include_extras=True))))
    for group in groups:
        for name in _names(group.default):
            blocks.append(_option(group.name, read_option(name, group.name, config_dir)))
    return "\n\n".join([*blocks, _wrapped(FLAGS)]) + "\n"


def _chosen(groups: Sequence[Group], arguments: Sequence[str]) -> list[Group]:
    """The groups with the options that the command line chooses; a default may follow from another group's."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    register_resolvers()
    options = OmegaConf.create({group.name: given.get(group.name, group.default) for group in groups})
    return [replace(group, default=str(options[group.name])) for group in groups]


def _flag(arguments: Sequence[str], *names: str) -> str | None:
    for index, argument in enumerate(arguments):
        if argument in names and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.partition("=")[0] in names and "=" in argument:
            return argument.partition("=")[2]
    return None


def _names(value: str) -> list[str]:
    """The options that `group=…` chooses: one, or several in brackets; none for null."""
    return [name.strip() for name in value.strip("[]").split(",") if name.strip() not in ("", "null")]


def _groups(groups: Sequence[Group], config_dir: str | None) -> str:
    lines = ["Groups, what is chosen, and their options:"]
    for group in groups:
        lines.append(_wrapped(f"{group.name}={group.default}: {group.comment}", "  ", "      "))
        lines.append(_wrapped(", ".join(option_names(group.name, config_dir)), "      ", "      "))
    return "\n".join(lines)


def command_keys(command: str) -> list[Key]:
    """The keys of a command's own file, explained."""
    return _explained(read_option(command).keys, get_type_hints(COMMANDS[command], include_extras=True))


def option_keys(group: str, option: Option) -> list[Key]:
    """An option's keys as the command line is given them, `model.depth`, explained: the words that a key may be follow
    its comment, where that does not name them all."""
    if group == "experiment":  # sets keys of all the other groups
        return list(option.keys)
    inside = group if group not in SEVERAL else f"{group}.{option.name}"
    keys = [replace(key, name=f"{inside}.{key.name}") for key in option.keys if key.name != "name"]
    return _explained(keys, _hints(group, option, inside))


def _option(group: str, option: Option) -> str:
    return _table(f"{group}={option.name}: {' '.join(option.description)}", option_keys(group, option))


def _hints(group: str, option: Option, inside: str) -> dict[str, Any]:
    """The types of an option's keys: those of the schema, and the arguments of what it builds."""
    hints = get_type_hints((GROUPS | METHODS)[group], include_extras=True)
    try:
        signature = find_signature(option.target) if option.target else None
    except UserError:  # a target of the user's own that cannot be found is for the training to refuse
        signature = None
    return {f"{inside}.{name}": hint for name, hint in {**(signature.hints if signature else {}), **hints}.items()}


def _explained(keys: Sequence[Key], hints: dict[str, Any]) -> list[Key]:
    return [
        replace(key, comment="; ".join(filter(None, (key.comment, _choices(key, hints.get(key.name)))))) for key in keys
    ]


def _table(title: str, keys: Sequence[Key]) -> str:
    lines = [_wrapped(title)]
    for key in keys:
        left = f"  {key.name}={key.default}" if key.default else f"  {key.name}:"
        if not key.comment:
            lines.append(left)
        elif len(left) > LEFT_COLUMN:
            lines += [left, _wrapped(key.comment, " " * (LEFT_COLUMN + 2), " " * (LEFT_COLUMN + 2))]
        else:
            lines.append(_wrapped(key.comment, f"{left:{LEFT_COLUMN}}  ", " " * (LEFT_COLUMN + 2)))
    return "\n".join(lines)


def _choices(key: Key, hint: Any) -> str:
    """The words that a key may be, where its comment does not name them all."""
    choices = [
        shown(choice) for member in members(hint) if get_origin(member) is Literal for choice in get_args(member)
    ]
    if all(choice in f"{key.default} {key.comment}" for choice in choices):
        return ""
    return f"one of {', '.join(choices)}"


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    width = max(60, min(shutil.get_terminal_size((100, 0)).columns, 120))
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False)
