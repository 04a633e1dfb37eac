"""The options that plug-ins add to the groups, and what a run tells of plug-ins."""

import logging
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from omegaconf import DictConfig

from cnnlab.config.flat import plain
from cnnlab.config.nearest import did_you_mean
from cnnlab.config.overrides import override_key
from cnnlab.config.schema import GROUPS, METHODS
from cnnlab.config.targets import target_packages
from cnnlab.errors import UserError
from cnnlab.plugins.active import active_plugins, import_plugins
from cnnlab.plugins.plugin import Plugin
from cnnlab.plugins.project import FILE, find_project
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

EXTENDED = (*GROUPS, *METHODS, "experiment", "hydra")
"""What the folder conf/ of a plug-in may hold."""

RESERVED = "run"
"""The option by which Hydra is given what a run was trained with."""


def project_arguments(composes_train: bool, arguments: Sequence[str]) -> list[str]:
    """What the project that the working directory lies in puts before the arguments of a command.

    Args:
        composes_train: whether the command composes the configuration of a training, and not that of a run.
        arguments: of the command; a key that they set is theirs alone.

    Returns:
        Nothing where there is no project, or the user does not trust it.
    """
    project = find_project()
    if project is None or not composes_train or not project.is_trusted:
        return []
    given = set(map(override_key, arguments))
    return [each for each in project.arguments if override_key(each) not in given]


def require_trust(arguments: Sequence[str]) -> None:
    """Check that the user trusts the project that the working directory lies in, if any.

    Raises:
        UserError: they do not, and the command line does not name its packages as `targets` either.
    """
    project = find_project()
    if project is None or project.is_trusted:
        return
    for plugin in project.plugins:
        if plugin.package not in _named(arguments):
            raise UserError(
                f"{project.folder / FILE}: this project brings code of its own, {plugin.package}, and you have not "
                f"said that you trust it; read it, then: cnnlab trust {shlex.quote(str(project.folder))}"
            )


def _named(arguments: Sequence[str]) -> set[str]:
    """The packages that the command line trusts by `targets`."""
    return {word for argument in arguments if argument.startswith("targets=") for word in re.findall(r"\w+", argument)}


def check_options() -> None:
    """Check what active plug-ins add to the groups.

    Raises:
        UserError: two of them have the same option, or one has an option of cnnlab's own, or of no group.
    """
    owners: dict[str, Plugin] = {}
    for plugin in active_plugins():
        for group, option in _options(plugin):
            key = f"{group}={option}"
            if (files("cnnlab.conf") / group / f"{option}.yaml").is_file() or option == RESERVED:
                raise UserError(
                    f"{key}: is cnnlab's own, and {plugin} has one of that name; rename its {_file(plugin, key)}"
                )
            other = owners.setdefault(key, plugin)
            if other.options != plugin.options:  # a package may name several plug-ins
                raise UserError(f"{key}: {other} and {plugin} both have it; uninstall one, or rename an option")


def _options(plugin: Plugin) -> Iterator[tuple[str, str]]:
    """The group and the name of every option of a plug-in."""
    folder = plugin.options
    if folder is None:
        return
    for file in sorted(folder.rglob("*.y*ml")):
        path = file.relative_to(folder)
        group = path.parts[0]
        if group not in EXTENDED or len(path.parts) == 1:
            raise UserError(
                f"{file}: {plugin} adds to no group{did_you_mean(group, EXTENDED)}; groups: {', '.join(EXTENDED)}"
            )
        if file.suffix != ".yaml":
            raise UserError(f"{file}: the name of an option ends with .yaml")
        yield path.parent.as_posix(), file.stem


def _file(plugin: Plugin, key: str) -> str:
    return f"{plugin.options}/{key.replace('=', '/')}.yaml"


def import_plugins_of(config: DictConfig) -> None:
    """Import the active plug-ins before a command works with a configuration.

    Raises:
        UserError: one that the configuration names cannot be imported.
    """
    import_plugins(target_packages(plain(config)))


def plugin_record(config: DictConfig) -> dict[str, dict[str, str | None]]:
    """What run.json keeps of the plug-ins that a configuration names: by name the package, the version, and the
    project's folder, or None where it is installed."""
    packages = target_packages(plain(config))
    return {
        plugin.name: {
            "package": plugin.package,
            "version": plugin.version,
            "project": str(plugin.project) if plugin.project else None,
        }
        for plugin in active_plugins()
        if plugin.package in packages
    }


def require_plugins(run: Run, key: str, arguments: Sequence[str]) -> None:
    """Check that the plug-ins a run was trained with are there; say so where a version is another.

    Nothing that the run names is looked for, let alone imported: only what is installed or trusted counts.

    Args:
        run: that a command builds upon.
        key: by which the command line names it.
        arguments: the command line, which may trust a package by `targets`.

    Raises:
        UserError: one of them is not active.
    """
    active = {plugin.name: plugin for plugin in active_plugins()}
    for name, recorded in _recorded(run):
        package, version = str(recorded.get("package")), recorded.get("version")
        if name in active and active[name].package == package:
            if active[name].version != version:
                log.warning("%s=%s: was trained with %s %s, and this is %s", key, run.path, name, version, active[name])
        elif package not in _named(arguments):
            project = recorded.get("project")
            way_out = f"work in its project, which was in {project}, or install it" if project else "install it"
            raise UserError(f"{key}={run.path}: needs the plug-in {name} {version}, which is not installed; {way_out}")


def _recorded(run: Run) -> list[tuple[str, dict[str, Any]]]:
    plugins = run.record.get("plugins")
    return [item for item in plugins.items() if isinstance(item[1], dict)] if isinstance(plugins, dict) else []
