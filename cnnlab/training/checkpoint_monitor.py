"""Choosing the best model, and stopping when it no longer improves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cnnlab.errors import UserError
from cnnlab.metrics.metric_set import MetricSet, direction
from cnnlab.training.loop_state import Best, LoopState
from cnnlab.training.trainer_config import TrainerConfig


@dataclass(frozen=True)
class CheckpointMonitor:
    """Which validation is the best one.

    Attributes:
        monitor: a column of the validation, such as "val_accuracy".
        mode: whether less (min) or more (max) is better.
        min_delta: the gain over the last progress that counts as progress.
        patience: validations without progress before the training stops; None for never.
    """

    monitor: str
    mode: Literal["min", "max"]
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
        return earlier - value if self.mode == "min" else value - earlier


def build_checkpoint_monitor(trainer: TrainerConfig, loss: str | None, metrics: MetricSet) -> CheckpointMonitor:
    """The checkpoint monitor that `trainer.monitor`, `trainer.mode` and `trainer.early_stopping_*` describe.

    Args:
        loss: the column of another loss than the cross-entropy; None where there is none.
        metrics: of which some know what is better.

    Raises:
        UserError: it is not known what is better of the monitor, and not given.
    """
    mode = trainer.mode if trainer.mode != "auto" else known_directions(loss, metrics).get(trainer.monitor)
    if mode is None:
        raise UserError(
            f"trainer.mode=auto: whether less or more is better of {trainer.monitor} is not known; give min or max"
        )
    return CheckpointMonitor(trainer.monitor, mode, trainer.early_stopping_min_delta, trainer.early_stopping_patience)


def known_directions(loss: str | None, metrics: MetricSet) -> dict[str, Literal["min", "max"]]:
    """What counts as better of the columns of metrics.csv, where it is known; see `build_checkpoint_monitor`."""
    known: dict[str, Literal["min", "max"]] = {"val_loss": "min", "val_accuracy": "max"}
    if loss:
        known[loss] = "min"
    for name, metric in metrics:
        better = direction(metric)
        if better:
            known |= {name: better, f"val_{name}": better}
    return known
