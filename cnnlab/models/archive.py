""".keras files that carry the names of the classes their model tells apart."""

import json
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

import keras

from cnnlab.errors import UserError
from cnnlab.runs.files import write_atomically

CLASS_NAMES = "class_names.json"
"""The member of the zip with the names, a JSON list in the order of the outputs. Keras itself does not use it."""


def save_model(model: keras.Model, path: Path, class_names: Sequence[str] | None) -> None:
    """Write a model as a .keras file, whole or not at all.

    Args:
        model: what to write.
        path: the file, which may be there.
        class_names: one per class, in the order of the outputs; None writes none.

    Raises:
        OSError: the disk is full or read-only; what was at `path` stays.
    """
    with write_atomically(path) as temporary:
        model.save(temporary)
        if class_names is not None:
            with ZipFile(temporary, "a") as archive:
                archive.writestr(ZipInfo(CLASS_NAMES), json.dumps(list(class_names)))


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """The names in a .keras file, in the order of the outputs; None where it holds none, or is no zip file.

    Raises:
        UserError: the names are not a list of text.
    """
    try:
        with ZipFile(path) as archive:
            names = json.loads(archive.read(CLASS_NAMES))
    except (KeyError, BadZipFile, OSError):  # a damaged model is told where it is loaded
        return None
    except ValueError as error:
        raise UserError(f"{path}: its {CLASS_NAMES} is no JSON ({error})") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: its {CLASS_NAMES} is no list of names")
    return tuple(names)
