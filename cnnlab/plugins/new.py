"""Writing a project: a small package with one thing of each kind, which works as it is."""

import keyword
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from cnnlab.errors import UserError

PLACEHOLDER = "PROJECT"
"""What stands in the files, and in their names, for the name of the project."""

SUFFIX = ".txt"
"""Of the files in the template, so that nothing takes them for code."""


def write_project(folder: Path) -> list[Path]:
    """Write a project, named after its folder, and return its files.

    Args:
        folder: absolute; made where it is missing, empty where it is there.

    Raises:
        UserError: its name is none for a package, or another package has it; or it is not empty. Nothing is written.
        OSError: it cannot be written.
    """
    name = folder.name
    _check_name(name)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; choose another name")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; choose another folder, or empty it")
    written = []
    for source, path in _template(files("cnnlab.plugins") / "template"):
        file = folder / path.replace(PLACEHOLDER, name).removesuffix(SUFFIX)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source.read_text("utf-8").replace(PLACEHOLDER, name), "utf-8")
        written.append(file)
    return written


def _check_name(name: str) -> None:
    """A project becomes a Python package of its name, found after all that is installed."""
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        letters = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")
        possible = letters if letters.isidentifier() and not keyword.iskeyword(letters) else f"my_{letters}".rstrip("_")
        raise UserError(f"{name}: is no name for a Python package; try {possible}")
    spec = find_spec(name)
    if spec is not None and spec.origin is not None:  # a mere folder of that name is no package
        raise UserError(f"{name}: another Python package has this name; try my_{name}")


def _template(folder: Traversable, path: str = "") -> Iterator[tuple[Traversable, str]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_dir():
            yield from _template(each, f"{path}{each.name}/")
        elif each.name.endswith(SUFFIX):
            yield each, f"{path}{each.name}"
