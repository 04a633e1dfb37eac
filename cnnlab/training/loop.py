"""The training loop: chunks of steps, and what happens between them."""

import logging
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, Signals
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.data.data_loader import DataLoader
from cnnlab.errors import Interrupted, Unreadable, UserError
from cnnlab.metrics.metric_set import MetricSet
from cnnlab.schedules.history import HistorySchedule
from cnnlab.training.checkpoint_monitor import CheckpointMonitor
from cnnlab.training.divergence import WeightCheck, require_finite_losses
from cnnlab.training.loop_state import Best, LoopState
from cnnlab.training.outputs import Outputs
from cnnlab.training.plan import Plan
from cnnlab.training.progress import ProgressDisplay, Pulse
from cnnlab.training.signals import STOP_SIGNALS, StopRequest

log = logging.getLogger(__name__)

CHUNK_SECONDS = 1.0  # how long the device works between two looks at its results
LONGEST_CHUNK = 1024  # steps


@dataclass
class Loop:
    """One training, from where `state` stands to the end of `plan`.

    Between two stops of the plan, steps are sent to the device in chunks of about a second without waiting for
    any of them; then the chunk's losses are fetched at once, and the weights checked. Where something must be
    decided in common by several processes, chunks have a fixed length.

    Attributes:
        plan: when things happen.
        state: where the training stands; changed in place.
        data_loader, train_call, batch_size: the training images and the compiled step.
        steps_per_call: updates per call of `train_call`.
        check_weights: after a chunk, those that are trained.
        metrics: of the training images; part of the compiled step.
        validate: scores the validation split; None where there is none.
        validation_columns: what it measures beside val_loss and val_accuracy.
        checkpoint_monitor: chooses the best model.
        outputs: the run directory's writer.
        display: the progress display.
        callbacks: Keras callbacks.
        watches_batches: whether one of them looks at the model after single batches, so that each step is waited for.
        schedule: a learning-rate schedule that follows the history, or None.
        directory: the run directory, for messages.
        stop: whether a signal asked for the end.
        agree: makes one decision out of those of all processes; None where there is one process.
    """

    plan: Plan
    state: LoopState
    data_loader: DataLoader
    train_call: Callable[[Any, tf.Tensor, int], tf.Tensor]
    batch_size: int
    steps_per_call: int
    check_weights: WeightCheck
    metrics: MetricSet
    validate: Callable[[], dict[str, float]] | None
    validation_columns: Sequence[str]
    checkpoint_monitor: CheckpointMonitor
    outputs: Outputs
    display: ProgressDisplay
    callbacks: keras.callbacks.CallbackList
    watches_batches: bool
    schedule: HistorySchedule | None
    directory: Path
    stop: StopRequest
    agree: Callable[[list[bool]], list[bool]] | None

    def __post_init__(self) -> None:
        self._ended_by = 0  # the signal that ended the training, once all processes have agreed on it
        self._seen_counts: set[int] = set()
        self._validated = False
        self._steady = False  # whether nothing was traced since the last chunk
        self._chunk = 1 if self.watches_batches else self.steps_per_call * (16 if self.agree else 1)
        self._saved_at = time.monotonic()
        self._saved_step = self.state.step  # of the newest checkpoint
        self._mark = time.monotonic()

    def run(self) -> None:
        """Train to the end, to the early stop, or to the next safe point after a signal.

        Raises:
            Interrupted: a signal asked for the end; the state is saved.
            UserError: an image cannot be read any more; the state is saved, or a state from before the validation.
            Diverged: the loss or a weight became NaN or infinite; the last finite state is kept.
        """
        if self.stop.signal_number and self.agree is None:
            raise Interrupted(self.stop.signal_number, self._ended(self.stop.signal_number))
        self.outputs.begin(self.state.step)
        self.callbacks.on_train_begin()
        self.display.start(self.state.step)
        self.stop.say, self.stop.restore_terminal = self.display.notice, self.display.stop
        self._mark = time.monotonic()
        try:
            while self.state.step < self.plan.total_steps and not self.checkpoint_monitor.stops_early(self.state):
                self._train_chunk()
                if self._between_chunks():
                    break
            self._tell_early_end()
            self.outputs.finish()
        except Unreadable as error:
            raise UserError(f"{error}; {self._way_on()}") from error
        finally:
            self.display.stop()
        self.callbacks.on_train_end()
        if self._ended_by:
            raise Interrupted(self._ended_by, self._ended(self._ended_by))

    def _tell_early_end(self) -> None:
        """Say why a training ends before its length, where no signal ended it."""
        step, steps = self.state.step, self.plan.total_steps
        if self._ended_by or step == steps:
            return
        stale = f"{self.checkpoint_monitor.monitor} was no better for {self.state.stale} validations"
        reason = stale if self.checkpoint_monitor.stops_early(self.state) else "a callback set stop_training"
        log.info("ended early, at step %d of %d: %s", step, steps, reason)

    def _ended(self, signal_number: int) -> str:
        by = "" if signal_number == SIGINT else f"{Signals(signal_number).name}; "
        return f"{by}{self._way_on()}"

    def _way_on(self) -> str:
        saved = f"saved at step {self._saved_step}" if self._saved_step else "before the first step"
        return f"{saved}; resume with cnnlab train resume={shlex.quote(str(self.directory))}"

    def _between_chunks(self) -> bool:
        """Validate, close the epoch and save where the plan says so; return whether the training ends here."""
        state, plan = self.state, self.plan
        epoch = plan.epoch_of(state.step)
        improved = False
        if self.validate and plan.validates(state.step):
            validation = state.validation = self.validate()
            self._steady, self._validated = self._validated, True  # the first one is traced
            improved = self.checkpoint_monitor.update(state, epoch, validation)
        closes = plan.ends_epoch(state.step) or self.checkpoint_monitor.stops_early(state)
        if closes:
            self._close_epoch(epoch)
        asked, due = self._decide()
        if asked and not self._ended_by and not closes:  # a callback ends the training inside of an epoch
            self._close_epoch(epoch)
        ends = asked or state.step == plan.total_steps or self.checkpoint_monitor.stops_early(state)
        if improved or due or ends:
            if self.validate is None or (ends and not self._ended_by and state.best is None):
                if self.validate:
                    log.warning(
                        "%s was a number in no validation; the last model is kept", self.checkpoint_monitor.monitor
                    )
                state.best, improved = Best(state.step, epoch, None, None), True
            self._save(best=improved)
        return ends

    def _save(self, *, best: bool) -> None:
        self.outputs.checkpoint(self.state, best=best)
        self._saved_step, self._saved_at = self.state.step, time.monotonic()

    def _decide(self) -> tuple[bool, bool]:
        """Whether a signal or a callback asks for the end, and whether a checkpoint is due; in all processes alike."""
        seconds = self.plan.checkpoint_seconds
        late = seconds is not None and time.monotonic() - self._saved_at >= seconds
        signal_number, quits = self.stop.signal_number, bool(self.callbacks.model.stop_training)
        if self.agree:
            *received, late, quits = self.agree([*(signal_number == number for number in STOP_SIGNALS), late, quits])
            signal_number = next((number for number, came in zip(STOP_SIGNALS, received, strict=True) if came), 0)
        self._ended_by = signal_number
        return bool(signal_number) or quits, late or self.plan.checkpoints(self.state.step)

    def _train_chunk(self) -> None:
        state = self.state
        count = min(self._chunk, self.plan.next_stop(state.step) - state.step)
        epoch = self.plan.epoch_of(state.step + 1)
        if state.sums.steps == 0:
            self.metrics.reset()  # not where an epoch ends, since a longer training may go on inside of it
            self.callbacks.on_epoch_begin(epoch - 1)
        if self.watches_batches:
            self.callbacks.on_train_batch_begin(state.step % self.plan.steps_per_epoch)
        started, step, pending, traced = time.monotonic(), state.step, [], False
        unreadable = None
        while count:
            size = self.steps_per_call if count >= self.steps_per_call else 1
            traced |= size not in self._seen_counts
            self._seen_counts.add(size)
            try:
                inputs = self.data_loader.inputs(step, size)
            except Unreadable as error:
                unreadable = error
                break
            pending.append(self.train_call(inputs, tf.constant(step, tf.int64), size))
            step, count = step + size, count - size
        if pending:
            results = np.concatenate([result.numpy() for result in pending])
            seconds = time.monotonic() - started
            self._account(results, None if traced or unreadable else seconds)
        if unreadable:
            if state.step and self.agree is None:  # the other processes have not come to this step
                self._save(best=False)
            raise unreadable
        if self.agree is None and not self.watches_batches:
            self._chunk = self._next_chunk(len(results) / seconds)

    def _account(self, results: np.ndarray, seconds: float | None) -> None:
        """Record the steps of a chunk; `seconds` is None where the chunk traced the step."""
        state, steps_per_epoch = self.state, self.plan.steps_per_epoch
        first = state.step + 1
        self.outputs.steps(first, steps_per_epoch, results)
        require_finite_losses(results[:, 0], first, self.plan.epoch_of)
        self.check_weights(state.step + len(results))
        for number, (loss, accuracy, _) in enumerate(results):
            batch, logs = (state.step + number) % steps_per_epoch, {"loss": float(loss), "accuracy": float(accuracy)}
            if not self.watches_batches:
                self.callbacks.on_train_batch_begin(batch)
            self.callbacks.on_train_batch_end(batch, logs)
        state.step += len(results)
        sums = state.sums
        sums.add(results)
        self._count_time()
        if seconds is not None:
            sums.timed_images += len(results) * self.batch_size
            sums.timed_seconds += seconds
        means = sums.loss / sums.steps, sums.accuracy / sums.steps
        steady, self._steady = self._steady and seconds is not None, True
        epoch, scores = self.plan.epoch_of(state.step), self.metrics.results()
        self.display.chunk(Pulse(state.step, epoch, *means, sums.images_per_second, steady, scores))

    def _next_chunk(self, steps_per_second: float) -> int:
        calls = min(steps_per_second * CHUNK_SECONDS, LONGEST_CHUNK) / self.steps_per_call
        return max(1, int(calls)) * self.steps_per_call

    def _count_time(self) -> None:
        """Add the time since the last call to that of the epoch."""
        now = time.monotonic()
        self.state.sums.seconds += now - self._mark
        self._mark = now

    def _close_epoch(self, epoch: int) -> None:
        self._count_time()
        row = self.state.close_epoch(epoch, self.metrics.results(), self.validation_columns)
        if self.schedule:
            self.schedule.update(self.state.history)
        self.outputs.epoch(self.state)
        self.display.epoch(row)
        logs = {key: value for key, value in row.items() if key not in ("epoch", "step") and value is not None}
        self.callbacks.on_epoch_end(epoch - 1, logs)
