"""`cnnlab new`: write a project of the user's own."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.plugins.new import write_project
from cnnlab.plugins.trust import trust, trust_file


def new(arguments: Sequence[str]) -> None:
    """Write a project into a new or empty folder, trust it, and print what to do next.

    Args:
        arguments: the folder, whose name becomes that of the package.

    Raises:
        UserError: see `write_project`.
    """
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError("new: takes one folder, such as: cnnlab new shapes")
    folder = Path(arguments[0]).expanduser().absolute()
    for file in write_project(folder):
        print(file)
    trust(folder)
    print(f"trusted, as {trust_file()} now says")
    there = "" if folder == Path.cwd() else f"cd {shlex.quote(arguments[0])} && "
    print(f"{there}cnnlab train")
