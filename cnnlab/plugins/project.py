"""A project folder: a plug-in that is used where it lies, without being installed."""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError
from cnnlab.plugins.plugin import GROUP, Plugin, installed_plugins
from cnnlab.plugins.trust import is_trusted

FILE = "pyproject.toml"


@dataclass(frozen=True)
class Project:
    """A folder whose pyproject.toml names plug-ins.

    Attributes:
        folder: the one that holds pyproject.toml.
        plugins: what it names in the group `cnnlab.plugins`.
        arguments: what its table `tool.cnnlab` puts before the command line of a training.
    """

    folder: Path
    plugins: tuple[Plugin, ...]
    arguments: tuple[str, ...]

    @property
    def is_installed(self) -> bool:
        """Whether its plug-ins are installed from this very folder, as by `pip install -e .`."""
        here = {
            (plugin.name, plugin.module)
            for plugin in installed_plugins()
            if plugin.location and plugin.location.resolve().is_relative_to(self.folder.resolve())
        }
        return all((plugin.name, plugin.module) in here for plugin in self.plugins)

    @property
    def is_trusted(self) -> bool:
        """Whether its code may run: the user has said so, or installed it."""
        return is_trusted(self.folder) or self.is_installed


def find_project(directory: Path | None = None) -> Project | None:
    """The project that a directory, by default the working directory, lies in: the nearest one above counts.

    Raises:
        UserError: its pyproject.toml cannot be read, or says something else than it should.
    """
    try:
        here = directory or Path.cwd()
    except FileNotFoundError:  # it has been removed meanwhile
        return None
    for folder in (here, *here.parents):
        file = folder / FILE
        try:
            text = file.read_bytes() if file.is_file() else b""
        except OSError:
            continue
        if GROUP.encode() in text:
            return _read(file, text)
    return None


def enter(project: Project) -> None:
    """Let Python find a trusted project's packages, after all that is installed.

    Raises:
        UserError: another package hides one of them, or it is not there.
    """
    folder = str(project.folder)
    if folder not in sys.path:
        sys.path.append(folder)
    for plugin in project.plugins:
        found = plugin.location
        if found is None:
            raise UserError(
                f"{project.folder / FILE}: there is no {plugin.package} beside it, which it names as a plug-in"
            )
        if not found.resolve().is_relative_to(project.folder.resolve()):
            raise UserError(
                f"{project.folder / plugin.package}: is hidden by another {plugin.package}, {found}, which Python "
                f"finds first; uninstall that, or install this folder: pip install -e {project.folder}"
            )


def _read(file: Path, text: bytes) -> Project | None:
    try:
        content = tomllib.loads(text.decode())
    except ValueError as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    project = content.get("project", {})
    named = project.get("entry-points", {}).get(GROUP, {})
    if not named:
        return None
    version = str(project.get("version", "of no version"))
    plugins = [
        Plugin(name, str(value).partition(":")[0].strip(), version, file.parent) for name, value in named.items()
    ]
    return Project(file.parent, tuple(plugins), _arguments(content.get("tool", {}).get("cnnlab", {}), file))


def _arguments(table: dict[str, Any], file: Path) -> tuple[str, ...]:
    given = table.get("train", [])
    if table.keys() - {"train"} or not isinstance(given, list) or not all("=" in str(each) for each in given):
        raise UserError(f'{file}: tool.cnnlab has but one key, train = ["key=value", …]')
    return tuple(map(str, given))
