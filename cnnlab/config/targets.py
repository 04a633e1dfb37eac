"""Checking every `_target_` of a configuration: may it be named, does it exist, does it take its arguments."""

import sys
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cnnlab.config.ranges import check_named_range
from cnnlab.config.signatures import find_signature
from cnnlab.config.types import check, check_keys
from cnnlab.errors import UserError
from cnnlab.plugins.active import active_plugins

DEFAULT_PACKAGES = ["cnnlab", "keras"]

_HYDRA_KEYS = frozenset({"_target_", "_args_", "_convert_", "_partial_", "_recursive_"})

_INSTEAD = {  # callbacks that would fight with the loop over what it does itself
    "keras.callbacks.LearningRateScheduler": "use a schedule, e.g. schedule=cosine",
    "keras.callbacks.ReduceLROnPlateau": "use schedule=plateau",
    "keras.callbacks.BackupAndRestore": "every run keeps its state: resume it with resume=RUN",
    "keras.callbacks.SwapEMAWeights": "optimizer.use_ema=true evaluates and saves the average without it",
}


def plugin_packages() -> frozenset[str]:
    """The packages of active plug-ins, which are trusted without being named."""
    return frozenset(plugin.package for plugin in active_plugins())


def is_ours(target: str) -> bool:
    """Whether a `_target_` is cnnlab's own."""
    return target.startswith("cnnlab.")


def target_packages(value: Any) -> set[str]:
    """The packages that the `_target_` nodes of a plain configuration value name."""
    if isinstance(value, list):
        return {package for item in value for package in target_packages(item)}
    if not isinstance(value, dict):
        return set()
    own = {str(value["_target_"]).partition(".")[0]} if value.get("_target_") else set()
    return own.union(*map(target_packages, value.values()))


def find_in_working_directory(packages: Sequence[str]) -> None:
    """Let packages that the command line names be found in the working directory too, after all that is installed.

    Raises:
        UserError: something installed, or of Python's own, hides one of them that lies in the working directory.
    """
    own = [package for package in packages if package not in DEFAULT_PACKAGES]
    here = Path.cwd()
    if own and str(here) not in sys.path:
        sys.path.append(str(here))
    for package in own:
        meant = [path for path in (here / f"{package}.py", here / package / "__init__.py") if path.is_file()]
        spec = find_spec(package) if meant and package.isidentifier() else None
        if spec and not any(spec.origin and path.samefile(spec.origin) for path in meant if spec.has_location):
            raise UserError(
                f"targets: {meant[0]} is hidden by another {package}, {spec.origin}, which Python finds first; "
                "rename yours, or name it from another directory if the other one is meant"
            )


def check_targets(value: Any, key: str, packages: Sequence[str], labels: Collection[str] = ()) -> None:
    """Check all `_target_` nodes in a plain configuration value.

    Args:
        value: a plain value of a configuration.
        key: its full key, for error messages.
        packages: the packages a `_target_` may name, beside active plug-ins.
        labels: keys of `value` itself that are not arguments of its target.

    Raises:
        UserError: a target that is not allowed or does not exist, or an argument it does not take.
    """
    if isinstance(value, dict):
        if value.get("_target_") is not None:
            _check_node(value, key, packages, labels)
        for name, item in value.items():
            check_named_range(str(name), item, f"{key}.{name}")  # class_weight has classes for keys, also 0 and 1
            check_targets(item, f"{key}.{name}", packages)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_targets(item, f"{key}[{index}]", packages)


def _check_node(node: dict[str, Any], key: str, packages: Sequence[str], labels: Collection[str]) -> None:
    target = node["_target_"]
    where = f"{key}._target_={target}"
    if not isinstance(target, str):
        raise UserError(f"{where}: must be text, package.module.name")
    package = target.partition(".")[0]
    if package not in packages and package not in plugin_packages():
        raise UserError(
            f"{where}: only {' and '.join(packages)} may be named; "
            f"if you trust {package}, add 'targets=[{','.join([*packages, package])}]' to the command"
        )
    if target in _INSTEAD:
        raise UserError(f"{where}: {_INSTEAD[target]}")
    try:
        signature = find_signature(target)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if signature is None:
        return
    arguments = {name: item for name, item in node.items() if name not in _HYDRA_KEYS and name not in labels}
    if not signature.open:
        check_keys(arguments, [*signature.hints, *labels], key)
    for name, item in arguments.items():
        if name in signature.hints:
            check(item, signature.hints[name], f"{key}.{name}")
