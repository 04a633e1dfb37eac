"""One method's figures in a folder of their own."""

from copy import deepcopy
from inspect import signature
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from cnnlab.config.instantiate import instantiate
from cnnlab.errors import UserError
from cnnlab.runs.files import move_folder, numbered_folder, temporary_folder


def draw_into(config: DictConfig, parent: Path) -> Path:
    """Draw as `draw_method` does into a folder of `parent`, beside the configuration, and return the folder.

    It has the method's name, or NAME-2, NAME-3, … where that holds what another configuration drew.
    """
    with temporary_folder(parent / config.method.name) as temporary:
        draw_method(config, temporary)
        OmegaConf.save(config, temporary / "config.yaml")
        folder = _folder(parent, config)  # not sooner: another command may have drawn meanwhile
        move_folder(temporary, folder)
    return folder


def draw_method(config: DictConfig, folder: Path) -> None:
    """Call the one method of `config.method`, which writes its figures and arrays into `folder`.

    Raises:
        UserError: the method refuses what it is given.
        Exception: anything else that it raises, a ValueError too, is a fault of its own.
    """
    node = deepcopy(config.method)
    with open_dict(node):
        node["_partial_"] = True  # so that `instantiate` makes its arguments alone a matter of the configuration
    draw = instantiate(node)
    try:
        signature(draw).bind(config=config, folder=folder)
    except TypeError as error:
        raise UserError(f"method={config.method.name}: {error}") from error
    draw(config=config, folder=folder)


def _folder(parent: Path, config: DictConfig) -> Path:
    """The folder of the method's name that is free, or holds what the same configuration drew."""
    return numbered_folder(parent / config.method.name, lambda folder: _drawn_with(folder) == config)


def _drawn_with(folder: Path) -> DictConfig | ListConfig | None:
    file = folder / "config.yaml"
    return OmegaConf.load(file) if file.is_file() else None
