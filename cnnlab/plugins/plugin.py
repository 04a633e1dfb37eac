"""What a plug-in is, and where plug-ins are found; nothing of theirs is imported for it."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

GROUP = "cnnlab.plugins"
"""The entry-point group by which a package says that it extends cnnlab."""


@dataclass(frozen=True)
class Plugin:
    """A package that extends cnnlab.

    Attributes:
        name: of its entry point.
        module: what is imported before a model is built or loaded, so that its layers are known to Keras.
        version: of the package it came with.
        project: the folder it lies in, where it is not installed.
    """

    name: str
    module: str
    version: str
    project: Path | None = None

    @property
    def package(self) -> str:
        """The outermost package, whose code a `_target_` may name."""
        return self.module.partition(".")[0]

    @property
    def location(self) -> Path | None:
        """The folder of its package, or for a single module the file; None where Python does not find it."""
        try:
            spec = find_spec(self.package)
        except ValueError:  # a module without a specification, such as __main__
            return None
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations or ())
        return Path(folders[0]) if folders else Path(spec.origin) if spec.has_location and spec.origin else None

    @property
    def options(self) -> Path | None:
        """The folder conf/ of its package, whose YAML files join the groups; None where it has none."""
        location = self.location
        folder = location / "conf" if location else None
        return folder if folder and folder.is_dir() else None

    def __str__(self) -> str:
        return f"plug-in {self.name} {self.version}"


@cache
def installed_plugins() -> tuple[Plugin, ...]:
    """The plug-ins of installed packages, by name."""
    from importlib.metadata import entry_points  # slow to import

    found = [
        Plugin(entry.name, entry.module, entry.dist.version if entry.dist else "of no version")
        for entry in entry_points(group=GROUP)
    ]
    return tuple(sorted(found, key=lambda plugin: plugin.name))
