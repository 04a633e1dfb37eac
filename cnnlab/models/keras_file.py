"""Writing and loading .keras files: with the names of the classes, and with layers from outside Keras and cnnlab."""

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import keras
import numpy as np

from cnnlab.config.instantiate import ended
from cnnlab.config.targets import DEFAULT_PACKAGES, plugin_packages
from cnnlab.errors import UserError
from cnnlab.models.weights.finite import tell_not_finite
from cnnlab.plugins.active import import_plugins
from cnnlab.runs.files import write_atomically

CLASS_NAMES = "class_names.json"
"""The member of the zip with the names, a JSON list in the order of the outputs. Keras itself does not use it."""

REASON_LENGTH = 300
BUILTIN = frozenset({"builtins", *DEFAULT_PACKAGES})


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


def load_model(path: Path, key: str, packages: Sequence[str]) -> keras.Model:
    """Load a .keras file. Modules it names are imported first where they are trusted, and never otherwise.

    Trusted are Keras, cnnlab, `packages` and active plug-ins. Classes of trusted modules need not be registered
    with Keras.

    Args:
        path: the file.
        key: begins messages, such as "run=RUN".
        packages: what `targets` names on this command line.

    Raises:
        UserError: the file is damaged, or needs what is not trusted or not there.
    """
    try:
        with ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        custom_objects = _custom_objects(config, f"{key}: {path.name}", packages)
        model = keras.models.load_model(path, custom_objects, compile=False)
    except (ValueError, TypeError, OSError, KeyError, BadZipFile) as error:
        raise UserError(f"{key}: {path.name} cannot be loaded; Keras says: {_reason(error)}") from error
    tell_not_finite(model, f"{key}: {path.name}")
    return model


def require_saveable(network: keras.Model, key: str, packages: Sequence[str]) -> None:
    """Check, before hours are spent on training it, that a network comes back from its file as it was.

    Args:
        network: functional, its weights those training starts from.
        key: names the network in messages, such as "model._target_=mynet.build".
        packages: what `targets` names on this command line.

    Raises:
        UserError: it cannot be saved or loaded, or computes something else once loaded.
    """
    images = np.random.default_rng(0).uniform(size=(2, *network.input_shape[1:])).astype("float32")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        try:
            network.save(path)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise UserError(f"{key}: cannot be saved; Keras says: {_reason(error)}") from error
        loaded = load_model(path, key, packages)
    before, again, after = (np.asarray(keras.tree.flatten(model(images))[0]) for model in (network, network, loaded))
    if np.array_equal(before, again) and not np.allclose(before, after, rtol=1e-2, atol=1e-3, equal_nan=True):
        raise UserError(
            f"{key}: computes something else once it is saved and loaded again; let get_config of its layers return "
            "all they are built with, and create their weights in build"
        )


def _custom_objects(config: dict[str, Any], where: str, packages: Sequence[str]) -> dict[str, type]:
    """The classes of trusted modules that a model's configuration names, by the names it gives them.

    Raises:
        UserError: it names others that Keras does not know, or a trusted module cannot be imported.
    """
    foreign = list(_foreign_nodes(config))
    import_plugins({node["module"].partition(".")[0] for node in foreign})
    for package in sorted({*packages} - BUILTIN):
        _import(package, where)
    trusted = {*packages, *plugin_packages()}
    found = {}
    for node in foreign:
        module, name = node["module"], node["registered_name"] or node["class_name"]
        package = module.partition(".")[0]
        if keras.saving.get_registered_object(name) is not None:
            continue
        if module == "__main__":
            raise UserError(f"{where} needs {name}, defined in a script or notebook; move it to a module of a package")
        if package not in trusted:
            raise UserError(
                f"{where} needs {name} of {module}; "
                f"if you trust {package}, add 'targets=[{','.join([*packages, package])}]'"
            )
        try:
            found[name] = getattr(_import(module, where), node["class_name"])
        except AttributeError:
            raise UserError(f"{where} needs {name}, which {module} has no longer") from None
    return found


def config_nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a model's configuration, also those inside of others, in order."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from config_nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from config_nodes(item)


def _foreign_nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a model's configuration that name a class of another package than Keras's."""
    for node in config_nodes(value):
        module = node.get("module")
        if isinstance(module, str) and "class_name" in node and module.partition(".")[0] not in BUILTIN:
            yield node


def _import(module: str, where: str) -> Any:
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:
        known = isinstance(error, ImportError)
        reason = (
            ended(error) if isinstance(error, SystemExit) else error if known else f"{type(error).__name__}: {error}"
        )
        raise UserError(f"{where} needs {module}, which cannot be imported ({reason})") from error


def _reason(error: Exception) -> str:
    """What Keras says, in one line: the innermost of its reasons."""
    innermost = str(error).rpartition("Exception encountered: ")[2].partition("Example:")[0]
    return shorten(innermost, REASON_LENGTH, placeholder=" …")
