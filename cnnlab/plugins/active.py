"""The plug-ins whose code may run in this process, and importing them."""

import logging
from collections.abc import Collection
from functools import cache
from importlib import import_module

from cnnlab.errors import UserError
from cnnlab.plugins.plugin import Plugin, installed_plugins
from cnnlab.plugins.project import enter, find_project

log = logging.getLogger(__name__)


def active_plugins() -> tuple[Plugin, ...]:
    """Those that are installed, and those of the project that the working directory lies in, where it is trusted.

    Raises:
        UserError: the project is trusted and something is wrong with it.
    """
    installed, project = installed_plugins(), find_project()
    if project is None or project.is_installed or not project.is_trusted:
        return installed
    enter(project)
    return (*installed, *project.plugins)


def import_plugins(needed: Collection[str]) -> None:
    """Import the active plug-ins, so that their layers are known to Keras.

    Args:
        needed: packages without which it makes no sense to go on; that another plug-in is broken is only told.

    Raises:
        UserError: one of those cannot be imported.
    """
    for plugin in active_plugins():
        try:
            import_module(plugin.module)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            told = f"{plugin}: {plugin.module} cannot be imported ({reason})"
            if plugin.package in needed:
                raise UserError(told) from error
            _warn(f"{told}; what it brings is missing")


@cache
def _warn(told: str) -> None:
    log.warning(told)
