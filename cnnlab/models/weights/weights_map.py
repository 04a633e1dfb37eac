"""The file with which a user says which array of a file of weights is which variable."""

from pathlib import Path

import yaml

from cnnlab.errors import UserError, one_line


def read_weights_map(file: Path) -> dict[str, str | None]:
    """Read lines `name in the file of weights: path of a variable`; `null` for an array to leave out.

    Raises:
        UserError: the file is missing, no YAML, or holds something else.
    """
    try:
        mapping = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"weights_map={file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"weights_map={file}: is no text") from error
    except yaml.YAMLError as error:
        raise UserError(f"weights_map={file}: is no YAML ({one_line(error)})") from error
    if not isinstance(mapping, dict) or not all(
        isinstance(name, str) and isinstance(path, str | None) for name, path in mapping.items()
    ):
        raise UserError(f"weights_map={file}: must hold lines `name in the file: path of a variable`, or `…: null`")
    return mapping
