"""Packages that come with an extra of cnnlab's, such as pip install 'cnnlab[mlflow]'."""

from importlib.util import find_spec
from typing import Any

from cnnlab.errors import UserError

ADAPTERS = "cnnlab.training.loggers."
DATABASES = ("sqlite:", "mysql", "postgresql", "mssql")
"""How the URIs of MLflow's databases begin; a server needs no more than its client, mlflow-skinny."""


def require_packages(loggers: dict[str, Any]) -> None:
    """Check that the package behind every chosen logger is installed, without importing it.

    An adapter's module, its package and the extra that installs the package have the same name; MLflow's databases
    need another package of its extra.

    Args:
        loggers: the group `logger`: targets by name.

    Raises:
        UserError: a package is missing; the message names the extra.
    """
    for name, node in loggers.items():
        target = node["_target_"]
        extra = target.removeprefix(ADAPTERS).partition(".")[0]
        packages = [extra, "sqlalchemy"] if str(node.get("tracking_uri")).startswith(DATABASES) else [extra]
        missing = [package for package in packages if target.startswith(ADAPTERS) and not is_installed(package)]
        if missing:
            raise UserError(f"logger={name}: {missing[0]} is not installed; pip install 'cnnlab[{extra}]'")


def is_installed(package: str) -> bool:
    """Whether a package can be imported; a mere folder of that name, such as W&B leaves behind, is none."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
