"""cnnlab's plugins for Hydra, which looks for them in this namespace; what they do lies in cnnlab.sweeps."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(BasicSweeper):
    """Trains every job of a grid that is not done yet, with whichever launcher, and keeps its state."""

    def __init__(
        self, params: dict[str, str] | None = None, configurations: dict[str, list[str]] | None = None, **unknown
    ):
        super().__init__(max_batch_size=None, params=params)
        self.configurations = configurations or {}
        self.unknown = unknown  # refused by sweep(), whose errors are told in one line

    def sweep(self, arguments: list[str]) -> Any:
        from cnnlab.config.arguments import quote_path
        from cnnlab.errors import UserError
        from cnnlab.sweeps.sweep import sweep

        for key in self.unknown:
            raise UserError(f"hydra.sweeper.{key}: no such key; the keys are configurations and params")
        params = [quote_path(override, sweep=True) for override in self._parse_config()]
        return sweep(self.hydra_context, self.config, self.launcher, [*params, *arguments], self.configurations)


class LocalLauncher(Launcher):
    """Runs jobs on this machine, each in a process of its own."""

    def __init__(self, slots: str | int, progress: str):
        self.slots = slots
        self.progress = progress

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from cnnlab.sweeps.local import launch

        return launch(self.hydra_context, self.config, job_overrides, self.slots, self.progress)
