"""Composing configurations as the command line does, up to the point where a command would start."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.compose import launch
from cnnlab.runs.run import Run

Compose = Callable[..., tuple[DictConfig, Path]]


@pytest.fixture
def compose(tmp_path, monkeypatch) -> Compose:
    """`compose(command, *arguments)` in an empty working directory: what the command would be called with."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *arguments: str) -> tuple[DictConfig, Path]:
        calls = []
        launch(command, arguments, task=lambda config, directory: calls.append((config, directory)))
        (called,) = calls
        return called

    return call


@pytest.fixture(scope="session")
def composed(tmp_path_factory) -> Callable[[str], DictConfig]:
    """`composed(key=value)`: the default configuration of `train` with another value, without asking Hydra again."""
    configs: list[DictConfig] = []
    directory = tmp_path_factory.mktemp("composed")
    launch("train", [f"hydra.run.dir={directory}"], task=lambda config, _: configs.append(config))
    parser = OverridesParser.create()

    def override(given: str) -> DictConfig:
        parsed = parser.parse_override(given)
        config = configs[0].copy()
        OmegaConf.update(config, parsed.key_or_group, parsed.value())
        return config

    return override


@pytest.fixture(scope="session")
def _run_to_copy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "run"
    configs = []
    options = ("seed=3", "trainer.epochs=5", "trainer.batch_size=32", f"hydra.run.dir={path}")
    launch("train", options, task=lambda config, directory: configs.append(config))
    Run.create(path, configs[0]).begin()
    return path


@pytest.fixture
def stored_run(_run_to_copy, tmp_path) -> Path:
    """A run directory with a configuration, at a path that Hydra's grammar alone would not take."""
    return shutil.copytree(_run_to_copy, tmp_path / "sweeps" / "seed=3, lr='0.1' {a}")
