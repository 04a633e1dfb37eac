"""Choosing the best model, and stopping when it no longer improves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cnnlab.training.loop_state import Best, LoopState
from cnnlab.training.trainer_config import TrainerConfig


@dataclass(frozen=True)
class CheckpointMonitor:
    """Which validation is the best one.

    Attributes:
        monitor: "val_loss" (lower is better) or "val_accuracy" (higher is).
        min_delta: the gain over the last progress that counts as progress.
        patience: validations without progress before the training stops; None for never.
    """

    monitor: str
    min_delta: float
    patience: int | None

    def update(self, state: LoopState, epoch: int, validation: Mapping[str, float]) -> bool:
        """Take the latest validation into account; return whether it is the best so far."""
        value = validation[self.monitor]
        better = self._gain(value, state.best.value if state.best else None) > 0
        if better:
            state.best = Best(state.step, epoch, self.monitor, value)
        if self._gain(value, state.reference) > self.min_delta:
            state.reference, state.stale = value, 0
        else:
            state.stale += 1
        return better

    def stops_early(self, state: LoopState) -> bool:
        return self.patience is not None and state.stale >= self.patience

    def _gain(self, value: float, earlier: float | None) -> float:
        """By how much `value` is better than an earlier one; NaN is never better."""
        if earlier is None:
            return -math.inf if math.isnan(value) else math.inf
        return earlier - value if self.monitor == "val_loss" else value - earlier


def build_checkpoint_monitor(trainer: TrainerConfig) -> CheckpointMonitor:
    """The checkpoint_monitor that `trainer.monitor` and `trainer.early_stopping_*` describe."""
    return CheckpointMonitor(trainer.monitor, trainer.early_stopping_min_delta, trainer.early_stopping_patience)
