"""What the YAML files may write as ${name:argument,…}, beside what OmegaConf itself offers."""

import os
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from cnnlab.config.defaults import target_name


def register_resolvers() -> None:
    """Make the resolvers known to OmegaConf; to do so again changes nothing."""
    OmegaConf.register_new_resolver("path_name", _path_name, replace=True)
    OmegaConf.register_new_resolver("target_name", target_name, replace=True)
    OmegaConf.register_new_resolver("suited", _suited, replace=True)


def _path_name(path: str | None, default: str) -> str:
    """${path_name:PATH,DEFAULT}: the name of a file, without its suffix, or folder; DEFAULT where PATH is null."""
    if path is None:
        return default
    absolute = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100, resolve() would follow links
    return (absolute.name if absolute.is_dir() else absolute.stem) or default


def _suited(option: str, suited: Mapping[str, str], default: str) -> str:
    """${suited:OPTION,{OTHER:VALUE},DEFAULT}: the value listed for an option of another group, or else DEFAULT."""
    return suited.get(option, default)
