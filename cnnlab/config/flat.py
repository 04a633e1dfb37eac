"""Configurations as plain mappings, nested or flat."""

from typing import Any, cast

from omegaconf import DictConfig, OmegaConf


def plain(config: DictConfig, *, resolve: bool = False) -> dict[str, Any]:
    """A configuration as nested dictionaries and lists; interpolations stay as they are unless `resolve`."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=resolve))


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping from full keys to leaves; lists and empty mappings are leaves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, item in value.items():
        leaves |= flat(item, f"{prefix}.{key}" if prefix else str(key))
    return leaves
