"""Packages that come with an extra of cnnlab's, such as pip install 'cnnlab[mlflow]'."""

from importlib.util import find_spec
from typing import Any

from cnnlab.errors import UserError

ADAPTERS = "cnnlab.training.loggers."
HUB = "cnnlab.models.hub.hub"
DATABASES = ("sqlite:", "mysql", "postgresql", "mssql")
"""How the URIs of MLflow's databases begin; a server needs no more than its client, mlflow-skinny."""

EXPORT = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}
"""The packages behind a format of exported files, whose extra has the format's name."""

OPTIONS = {
    "hydra/launcher": {
        "submitit_slurm": ("hydra-submitit-launcher", "slurm"),
        "submitit_local": ("hydra-submitit-launcher", "slurm"),
        "ray": ("hydra-ray-launcher", "ray"),
        "ray_aws": ("hydra-ray-launcher", "ray"),
    }
}
"""The options of a group that a package brings itself, with the package and the extra that installs it."""


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
            raise UserError(_missing(f"logger={name}", missing[0], extra))


def require_model_package(model: dict[str, Any]) -> None:
    """Check that the package behind a model is installed, without importing it.

    Raises:
        UserError: it is missing; the message names the extra.
    """
    if model["_target_"] == HUB and not is_installed("keras_hub"):
        raise UserError(_missing(f"model={model['name']}", "keras-hub", "hub"))


def require_format_packages(key: str, format: str) -> None:
    """Check that the packages behind a format of exported files are installed, without importing them.

    Args:
        key: begins the message, such as "format=onnx".
        format: saved_model, onnx or litert.

    Raises:
        UserError: one is missing; the message names the extra.
    """
    for package in EXPORT.get(format, ()):
        if not is_installed(package):
            raise UserError(_missing(key, package.replace("_", "-"), format))


def explain_missing(group: str, option: str) -> str | None:
    """What to install for an option that is not there; None where no extra brings it."""
    if option not in OPTIONS.get(group, {}):
        return None
    return _missing(f"{group}={option}", *OPTIONS[group][option])


def _missing(option: str, package: str, extra: str) -> str:
    return f"{option}: {package} is not installed; pip install 'cnnlab[{extra}]'"


def is_installed(package: str) -> bool:
    """Whether a package can be imported; a mere folder of that name, such as W&B leaves behind, is none."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
