"""What the loop must know to resume, beside the variables: it travels in every checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass
class EpochSums:
    """The epoch under way.

    Attributes:
        steps: updates made in it.
        loss, accuracy: sums over these updates (float64).
        learning_rate: of the last update.
        seconds: wall time spent in it, all included.
        timed_images, timed_seconds: images trained on in timed calls, and how long those took; calls that
            trace the step are not timed.
    """

    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    learning_rate: float = 0.0
    seconds: float = 0.0
    timed_images: int = 0
    timed_seconds: float = 0.0

    @property
    def images_per_second(self) -> float | None:
        return self.timed_images / self.timed_seconds if self.timed_seconds else None

    def add(self, results: np.ndarray) -> None:
        """Add float32 (n, 3) losses, accuracies and learning rates, one step after the other.

        The order of the additions does not depend on how the steps were cut into chunks, so the sums of a
        resumed epoch equal those of an uninterrupted one to the last bit.
        """
        for loss, accuracy, _ in results.astype(np.float64):
            self.loss += float(loss)
            self.accuracy += float(accuracy)
        self.learning_rate = float(str(results[-1, 2]))  # 0.1, not the 0.10000000149… a float32 widens to
        self.steps += len(results)


@dataclass
class Best:
    """The best model so far.

    Attributes:
        step, epoch: when it was.
        monitor: the metric that chose it; None where there is no validation and the last model is the best.
        value: that metric's value.
    """

    step: int
    epoch: int
    monitor: str | None
    value: float | None


@dataclass
class LoopState:
    """Where a training stands.

    Attributes:
        step: updates made.
        history: the rows of metrics.csv.
        sums: the epoch under way.
        closed: the sums behind the last row, which is taken back if a longer training resumes inside its epoch.
        validation: val_loss, val_accuracy and other columns of val_, if measured in the epoch under way.
        best: the best model so far, if any.
        reference: the monitored value at the last progress, which early stopping measures the next against.
        stale: validations since then.
    """

    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: EpochSums = field(default_factory=EpochSums)
    closed: EpochSums | None = None
    validation: dict[str, float] | None = None
    best: Best | None = None
    reference: float | None = None
    stale: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LoopState":
        best = Best(**value["best"]) if value["best"] else None
        closed = EpochSums(**value["closed"]) if value["closed"] else None
        return cls(**value | {"sums": EpochSums(**value["sums"]), "closed": closed, "best": best})

    def reopen_epoch(self) -> None:
        """Go on inside the epoch of the last row: an earlier, shorter training had cut it short."""
        if self.closed is not None:
            self.history.pop()
            self.sums, self.closed = self.closed, None

    def close_epoch(
        self, epoch: int, metrics: Mapping[str, float], validation_columns: Sequence[str]
    ) -> dict[str, Any]:
        """Turn the sums into a row of metrics.csv, append it and begin a new epoch.

        Args:
            epoch: its number, from 1.
            metrics: of the training images.
            validation_columns: what is validated beside loss and accuracy; empty cells where this epoch was not.
        """
        sums, validation = self.sums, self.validation or {}
        speed = sums.images_per_second
        row = {
            "epoch": epoch,
            "step": self.step,
            "loss": sums.loss / sums.steps,
            "accuracy": sums.accuracy / sums.steps,
            **metrics,
            "val_loss": validation.get("val_loss"),
            "val_accuracy": validation.get("val_accuracy"),
            **{name: validation.get(name) for name in validation_columns},
            "learning_rate": sums.learning_rate,
            "seconds": round(sums.seconds, 3),
            "images_per_second": None if speed is None else round(speed, 1),
        }
        self.history.append(row)
        self.closed, self.sums, self.validation = sums, EpochSums(), None
        return row
