"""Nested mappings as one."""

from typing import Any


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping from full keys to leaves; lists and empty mappings are leaves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    leaves = {}
    for key, item in value.items():
        leaves |= flat(item, f"{prefix}.{key}" if prefix else str(key))
    return leaves
