"""Write the pages of options: every key of every option, as the YAML files and `cnnlab COMMAND --help` have them.

Sphinx runs it before it reads the pages (docs/conf.py). docs/options/ is not versioned: it belongs to the YAML files.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cnnlab.cli import COMMANDS
from cnnlab.config.help import command_keys, option_keys
from cnnlab.config.options import Group, Key, Option, option_names, read_groups, read_option

FOLDER = Path(__file__).with_name("options")
SWEEPS = (
    Group("hydra/launcher", "local", "where the jobs of a sweep run"),
    Group("hydra/sweeper", "grid", "which jobs a sweep has"),
)
"""Groups of Hydra's own that have an option of cnnlab's."""
OURS = {"hydra/launcher": ["local"], "hydra/sweeper": ["grid"]}


def write_pages(folder: Path = FOLDER) -> None:
    """Write a page per group and one for the commands; a page that has not changed keeps its time."""
    folder.mkdir(exist_ok=True)
    groups = [*read_groups("visualize"), *SWEEPS]
    pages = {"index": index(groups), "commands": commands()} | {stem(group): page(group) for group in groups}
    for old in {*folder.glob("*.md")} - {folder / f"{name}.md" for name in pages}:
        old.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def stem(group: Group) -> str:
    """The name of a group's page."""
    return group.name.replace("/", "_")


def index(groups: Iterable[Group]) -> str:
    """All groups, with what they are for and the option they take unless told otherwise."""
    rows = [f"| [{group.name}]({stem(group)}.md) | {escaped(group.comment)} | {chosen(group)} |" for group in groups]
    pages = ["commands", *(stem(group) for group in groups)]
    return "\n".join(
        [
            "# Every option\n",
            "An option of a group is chosen by `GROUP=NAME`, and its keys are set by `GROUP.KEY=VALUE`. "
            "These pages are made of the YAML files in `conf/`; `cnnlab COMMAND --help` shows the same in a terminal, "
            "with the options of your own projects. [Keys of the commands](commands.md) are those that belong to no "
            "group.\n",
            "| group | what it chooses | default |",
            "|---|---|---|",
            *rows,
            "\n```{toctree}\n:hidden:\n",
            *pages,
            "```\n",
        ]
    )


def chosen(group: Group) -> str:
    """A group's default; where another group decides, that is said."""
    if group.name == "model":
        return "`mnist_cnn`; `photo_cnn` for `image_folder` and `table`"
    return "none" if group.default == "null" else f"`{group.default}`"


def page(group: Group) -> str:
    """A group's options with their keys."""
    names = OURS.get(group.name) or option_names(group.name)
    body = [section(group, read_option(name, group.name)) for name in names]
    return "\n".join([f"# {group.name}\n", f"{escaped(group.comment)}\n", f"Default: {chosen(group)}\n", *body])


def section(group: Group, option: Option) -> str:
    """One option: what it is, and its keys."""
    if group in SWEEPS:
        keys = [replace(key, name=f"{group.name.replace('/', '.')}.{key.name}") for key in option.keys]
    else:
        keys = [key for key in option_keys(group.name, option) if key.name != "name"]
    return "\n".join([f"## {option.name}\n", *description(option), *definitions(keys)])


def description(option: Option) -> Iterator[str]:
    """The comment that opens the file, in its sentences; the commands in a recipe's stand as such."""
    commands = [line for line in option.description if line.startswith(("cnnlab ", "python "))]
    if commands:
        yield "```sh\n" + "\n".join(commands) + "\n```\n"
    text = "\n".join(escaped(line) for line in option.description if line not in commands)
    yield re.sub(r"\n(?=[A-Z])", "\\\\\n", text) + "\n"


def definitions(keys: Iterable[Key]) -> Iterator[str]:
    """A list of keys with their defaults, each with its comment below it."""
    for key in keys:
        if key.default or key.comment:  # else it only holds others
            yield f"`{key.name}={key.default}`" if key.default else f"`{key.name}`"
            yield f": {escaped(key.comment) or '–'}\n"


def commands() -> str:
    """The keys of each command that belong to no group."""
    lines = [
        "# Keys of the commands\n",
        "`eval`, `inspect` and `visualize` without a run compose a configuration as `train` does, and take its keys "
        "too.\n",
    ]
    for name, command in COMMANDS.items():
        lines.append(f"## cnnlab {name}\n")
        lines.append(f"{escaped(command.summary)}\n")
        if command.operand:
            lines.append(f"Usage: `cnnlab {name} {command.operand}`\n")
        else:
            groups = {group.name for group in read_groups("visualize")}
            lines += definitions(key for key in command_keys(name) if key.name not in groups)
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is; what stands in backticks stays code."""
    parts = text.split("`")
    return "`".join(
        part if number % 2 else re.sub(r"([\\*_<>\[\]|#{}$])", r"\\\1", part) for number, part in enumerate(parts)
    )


if __name__ == "__main__":
    write_pages()
