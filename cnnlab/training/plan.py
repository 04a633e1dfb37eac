"""When things happen in a training, all in steps."""

from dataclasses import dataclass

from cnnlab.config.durations import parse_duration
from cnnlab.errors import UserError
from cnnlab.training.trainer_config import TrainerConfig


@dataclass(frozen=True)
class Plan:
    """The lengths and intervals of a training.

    Attributes:
        steps_per_epoch: updates per epoch.
        total_steps: updates in all; the last epoch may be cut short.
        validate_every: updates between validations; there is one at the very end as well.
        checkpoint_steps: updates between checkpoints; None where the interval is in minutes.
        checkpoint_seconds: seconds between checkpoints; None where the interval is in steps.
    """

    steps_per_epoch: int
    total_steps: int
    validate_every: int
    checkpoint_steps: int | None
    checkpoint_seconds: float | None

    @property
    def epochs(self) -> int:
        """The number of epochs, the last of which may be cut short."""
        return self.epoch_of(self.total_steps)

    def epoch_of(self, step: int) -> int:
        """The epoch (from 1) that update number `step` (from 1) belongs to."""
        return (step - 1) // self.steps_per_epoch + 1

    def ends_epoch(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0 or step == self.total_steps

    def validates(self, step: int) -> bool:
        return step % self.validate_every == 0 or step == self.total_steps

    def checkpoints(self, step: int) -> bool:
        return (self.checkpoint_steps is not None and step % self.checkpoint_steps == 0) or step == self.total_steps

    def next_stop(self, step: int) -> int:
        """The next step after `step` at which something other than an update happens."""
        intervals = [self.steps_per_epoch, self.validate_every, self.checkpoint_steps or self.total_steps]
        return min(self.total_steps, *((step // interval + 1) * interval for interval in intervals))


def build_plan(trainer: TrainerConfig, train_size: int) -> Plan:
    """Turn the trainer's lengths and intervals into steps.

    Args:
        train_size: the number of training examples.

    Raises:
        UserError: the batch is larger than the split, or an interval comes to less than one step.
    """
    if trainer.batch_size > train_size:
        raise UserError(
            f"trainer.batch_size={trainer.batch_size}: the training split has only {train_size} images; "
            f"use at most {train_size}"
        )
    steps_per_epoch = trainer.steps_per_epoch or train_size // trainer.batch_size
    total_steps = trainer.steps or max(1, round(trainer.epochs * steps_per_epoch))

    def steps(key: str) -> int:
        interval = getattr(trainer, key)
        count = parse_duration(interval, f"trainer.{key}").steps(steps_per_epoch, total_steps)
        if count < 1:
            raise UserError(f"trainer.{key}={interval}: comes to less than one step; use at least '1 steps'")
        return count

    checkpoint = parse_duration(trainer.checkpoint_every, "trainer.checkpoint_every")
    timed = checkpoint.unit == "minutes"
    return Plan(
        steps_per_epoch,
        total_steps,
        validate_every=steps("validate_every"),
        checkpoint_steps=None if timed else steps("checkpoint_every"),
        checkpoint_seconds=checkpoint.value * 60 if timed else None,
    )
