"""The configuration a run was trained with, as the start of another command's."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, cast

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.arguments import path_argument
from cnnlab.config.flat import flat, plain
from cnnlab.config.overrides import override_key
from cnnlab.config.plugin_options import require_plugins
from cnnlab.config.schema import GROUPS, METHODS
from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.config.types import shown
from cnnlab.errors import UserError, one_line
from cnnlab.runs.anew import command_anew
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

RUN_KEYS = {"train": "resume", "eval": "run", "predict": "run", "export": "run", "visualize": "run"}

# What may differ between two trainings of the same: the hardware, the display, the loggers and where the data lies
# now, which change no more than the last bits. `resume` itself and `targets` belong to the command, not to the run.
# A key stands for all below it.
SAME_RESULT = frozenset(
    {
        "trainer.devices",
        "trainer.strategy",
        "trainer.threads",
        "trainer.progress",
        "dataset.root",
        "logger",
        "resume",
        "targets",
    }
)
# What may change when a run is resumed: also its length.
CHANGEABLE = SAME_RESULT | {"trainer.epochs", "trainer.steps"}

PUBLISHED_DATA = (
    *("cnnlab.data.cifar.cifar10", "cnnlab.data.cifar.cifar100", "cnnlab.data.digits.digits"),
    *("cnnlab.data.mnist.mnist", "cnnlab.data.mnist.fashion_mnist", "cnnlab.data.tfds.tfds"),
)
"""Readers of published data, which are the same wherever `dataset.root` has them lie; so are those that the reader of
folders is told of by `dataset.folder`. To any other reader, as a plug-in's, another root is other data."""

LEFT_TO_DATA = {"dataset.num_classes": None, "dataset.validation": "auto"}
"""Values in whose place a run keeps what its data made of them; its record names these keys (see `left_to_data`)."""

BASIC = {"override hydra/sweeper": "basic", "override hydra/launcher": "basic"}
"""A command upon a run is no job of a grid of trainings."""


def stored_run(command: str, arguments: Sequence[str]) -> Run | None:
    """The run that the command line builds upon (`run=RUN`, for train `resume=RUN`), if any.

    Raises:
        UserError: the path is no run, or the run needs a plug-in that is not there.
    """
    key = RUN_KEYS.get(command)
    path = path_argument(arguments, key) if key else None
    if key is None or path is None:
        return None
    try:
        run = Run.open(path)
    except UserError as error:
        raise UserError(f"{key}={error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{key}={path}: its config.yaml cannot be read ({one_line(error)})") from error
    require_plugins(run, key, arguments)
    return run


@contextmanager
def primary_config(command: str, run: Run | None) -> Iterator[str]:
    """Yield the name of a command's primary configuration: its YAML, or one made of a run's configuration.

    Every group of the run becomes the option "run" of that group in Hydra's store for the length of the
    block, so that groups and keys can be overridden on the command line as usual.
    """
    if run is None:
        yield command
        return
    store = ConfigStore.instance()
    stored = plain(run.config)
    own = _primary(command)
    groups = [group for group in GROUPS if isinstance(stored.get(group), dict)]
    for group in groups:
        store.store(name="run", group=group, node=stored.pop(group), provider=str(run.path))
    hydra_options = _hydra_options(_primary("train")) | BASIC | _hydra_options(own)
    own_groups = [entry for entry in own["defaults"] if isinstance(entry, dict) and entry.keys() <= METHODS.keys()]
    defaults = (
        [{group: "run"} for group in groups]
        + own_groups
        + ["_self_"]
        + [{key: option} for key, option in hydra_options.items()]
    )
    keys = {key: value for key, value in own.items() if key not in ("defaults", "hydra")}
    primary = keys | stored if command == "train" else stored | keys
    hydra = {"output_subdir": None, "run": {"dir": str(run.path)}}
    primary |= {"defaults": defaults, "targets": DEFAULT_PACKAGES, "hydra": hydra}
    name = f"{command}_of_run"
    store.store(name=name, node=primary, provider=str(run.path))
    try:
        yield name
    finally:
        del store.repo[f"{name}.yaml"]
        for group in groups:
            del store.repo[group]["run.yaml"]


def check_resumable(config: DictConfig, run: Run) -> None:
    """Check that a run can be resumed exactly with this configuration.

    Raises:
        UserError: something other than what `CHANGEABLE` lists differs from the configuration the run started
            with, which its record keeps: config.yaml may have been edited since.
    """
    changed = differences(config, run, CHANGEABLE)
    if changed:
        diverged = run.record.get("status") == "diverged"
        hint = (
            f"it diverged; start anew with a smaller learning rate: {command_anew(run)}"
            if diverged
            else "train a new run to change this"
        )
        raise UserError(f"resume={run.path}: its configuration no longer matches ({changed}); {hint}")


def tell_new_shares(config: DictConfig, run: Run) -> None:
    """Say what is a share of the training, where a resumed run gets another length; schedules tell of themselves."""
    before, now = run.config.trainer, config.trainer
    if (before.epochs, before.steps) == (now.epochs, now.steps):
        return
    optimizer = config.optimizer
    starts = {f"layer_starts.{name}": start for name, start in (optimizer.get("layer_starts") or {}).items()}
    shares = {key: start for key, start in starts.items() if str(start).endswith("%")}
    if optimizer.get("lookahead_every") and optimizer.get("lookahead_power"):
        shares["lookahead_power"] = optimizer.lookahead_power
    for key, value in shares.items():
        log.warning("optimizer.%s=%s: is of the new length of the training, whatever has begun before", key, value)


def differences(config: DictConfig, run: Run, but: Collection[str]) -> str:
    """What differs from the configuration a run started with: the first few keys with both values, in one line.

    A value that is left to the data agrees with what a run's data made of it, where that run left it to them too.

    Args:
        config: resolved.
        run: whose record keeps what it started with; config.yaml may have been edited since.
        but: keys that do not count, nor what is below them.

    Returns:
        Empty where nothing differs.
    """
    was = flat(run.record.get("config") or OmegaConf.to_container(run.config))
    asked = flat(OmegaConf.to_container(config, resolve=True))
    left = run.record.get("left_to_data", LEFT_TO_DATA)
    changed = [
        f"{key}: {shown(was.get(key))} → {shown(asked.get(key))}"
        for key in sorted(was.keys() | asked.keys())
        if was.get(key) != asked.get(key)
        and not (key in left and asked.get(key) == LEFT_TO_DATA[key])
        and not _is_of(key, but)
    ]
    return ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")


def left_to_data(config: DictConfig) -> list[str]:
    """The keys whose values a configuration leaves to the data."""
    return [key for key, value in LEFT_TO_DATA.items() if OmegaConf.select(config, key) == value]


def keeps_result(override: str) -> bool:
    """Whether what an override sets may differ between two trainings of the same (see `SAME_RESULT`)."""
    return _is_of(override_key(override).partition("@")[0].replace("/", "."), SAME_RESULT)


def has_own_data(dataset: Mapping[str, Any]) -> bool:
    """Whether another root of a configuration's `dataset` is other data (see `PUBLISHED_DATA`)."""
    reader = dataset.get("_target_")
    is_published_folder = reader == "cnnlab.data.image_folder.image_folder" and dataset.get("folder") is not None
    return reader not in PUBLISHED_DATA and not is_published_folder


def _is_of(key: str, keys: Collection[str]) -> bool:
    """Whether a key is one of several, or below one of them."""
    return any(f"{key}.".startswith(f"{other}.") for other in keys)


def _primary(command: str) -> dict[str, Any]:
    return plain(cast(DictConfig, OmegaConf.create((files("cnnlab.conf") / f"{command}.yaml").read_text("utf-8"))))


def _hydra_options(primary: dict[str, Any]) -> dict[str, str]:
    """The entries of a defaults list that choose options of Hydra's own groups."""
    entries = [entry for entry in primary["defaults"] if isinstance(entry, dict)]
    return {key: value for entry in entries for key, value in entry.items() if key.startswith("override hydra/")}
