"""`cnnlab trust`: say that the code of a project folder may run."""

from collections.abc import Sequence
from pathlib import Path

from cnnlab.errors import UserError
from cnnlab.plugins.project import FILE, find_project
from cnnlab.plugins.trust import trust as put_on_list
from cnnlab.plugins.trust import trust_file, trusted_projects


def trust(arguments: Sequence[str]) -> None:
    """Put a project on the user's list of trusted ones; without a folder print the list and where it is.

    Args:
        arguments: the folder, if any.

    Raises:
        UserError: the folder is no project.
    """
    if len(arguments) > 1:
        raise UserError(f"trust: takes one folder, and there are {len(arguments)}")
    if arguments:
        folder = Path(arguments[0]).expanduser().absolute()
        project = find_project(folder) if folder.is_dir() else None
        if project is None or project.folder != folder:
            above = f"; its project is {project.folder}" if project else ""
            raise UserError(f"{folder}: is no project, with a {FILE} that names cnnlab.plugins{above}")
        put_on_list(folder)
        packages = ", ".join(plugin.package for plugin in project.plugins)
        print(f"{folder}: commands that are given in this folder, or below it, run the code of {packages}")
    else:
        for trusted in trusted_projects():
            print(trusted)
    print(f"the list is {trust_file()}; remove a line to end the trust")
