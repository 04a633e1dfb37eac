"""Which project folders the user trusts: a list of the user's own, which no project can write itself into."""

from pathlib import Path

from cnnlab.errors import UserError


def trust_file() -> Path:
    """The list, one folder a line; ~/.config/cnnlab/trusted_projects on Linux ($XDG_CONFIG_HOME)."""
    from platformdirs import user_config_path  # only where there is a project

    return user_config_path("cnnlab") / "trusted_projects"


def trusted_projects() -> list[Path]:
    """The folders on the list."""
    file = trust_file()
    return [Path(line) for line in file.read_text("utf-8").splitlines() if line] if file.is_file() else []


def is_trusted(folder: Path) -> bool:
    """Whether a folder is on the list; links are followed."""
    return folder.resolve() in trusted_projects()


def trust(folder: Path) -> None:
    """Put a folder on the list.

    Raises:
        UserError: its name cannot stand on a line.
        OSError: the list cannot be written.
    """
    line = str(folder.resolve())
    if not line.isprintable():
        raise UserError(f"{line!r}: such a name cannot be listed among the trusted projects; rename the folder")
    if is_trusted(folder):
        return
    file = trust_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as listed:
        listed.write(f"{line}\n")
