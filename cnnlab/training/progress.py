"""What a person sees while a run trains: a live bar in a terminal, plain lines in a log."""

import sys
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

HEARTBEAT_SECONDS = 30.0  # at least one line this often in a log, however long an epoch takes


@dataclass(frozen=True)
class Pulse:
    """Where the training stands after a chunk of steps.

    Attributes:
        step: steps made so far.
        epoch: the epoch under way, from 1.
        loss: mean training loss of the epoch so far.
        accuracy: mean training accuracy of the epoch so far, 0 to 1.
        images_per_second: training speed of the epoch so far; None before it is known.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    images_per_second: float | None


class ProgressDisplay(Protocol):
    """Something that follows a training."""

    def start(self, step: int) -> None: ...

    def chunk(self, pulse: Pulse) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class SilentProgress:
    """Shows nothing."""

    def start(self, step: int) -> None: ...

    def chunk(self, pulse: Pulse) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def stop(self) -> None: ...


class PlainProgress:
    """One line per epoch, and a heartbeat within long ones: for log files, pipes and dumb terminals.

    Args:
        epochs: the number of epochs.
        total_steps: the length of the training.
    """

    def __init__(self, epochs: int, total_steps: int):
        self._epochs = epochs
        self._clock = RemainingTime(total_steps)
        self._spoken = 0.0
        self._remaining = ""

    def start(self, step: int) -> None:
        self._clock.start(step)
        self._spoken = time.monotonic()

    def chunk(self, pulse: Pulse) -> None:
        self._remaining = self._clock.remaining(pulse.step)
        if time.monotonic() - self._spoken >= HEARTBEAT_SECONDS:
            speed = f"  {pulse.images_per_second:,.0f} images/s" if pulse.images_per_second else ""
            numbers = f"loss {pulse.loss:.4f}  accuracy {pulse.accuracy:.4f}"
            self._say(f"epoch {pulse.epoch}/{self._epochs}  step {pulse.step}  {numbers}{speed}  {self._remaining}")

    def epoch(self, row: dict[str, Any]) -> None:
        self._say(f"{epoch_line(row, self._epochs)}  {self._remaining}")

    def stop(self) -> None: ...

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self._spoken = time.monotonic()


class RichProgress:
    """A live bar with speed and remaining time; each epoch leaves a line above it.

    Args: as PlainProgress.
    """

    def __init__(self, epochs: int, total_steps: int):
        self._epochs = epochs
        self._clock = RemainingTime(total_steps)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),  # all of it fits into 80 columns
            TextColumn("{task.fields[numbers]}", style="cyan"),
            TextColumn("{task.fields[remaining]}", style="dim"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("starting", total=total_steps, numbers="", remaining="")

    def start(self, step: int) -> None:
        self._clock.start(step)
        self._bar.start()
        self._bar.update(self._task, completed=step)

    def chunk(self, pulse: Pulse) -> None:
        speed = f"  {pulse.images_per_second:,.0f} images/s" if pulse.images_per_second else ""
        self._bar.update(
            self._task,
            completed=pulse.step,
            description=f"epoch {pulse.epoch}/{self._epochs}",
            numbers=f"loss {pulse.loss:.4f}  accuracy {pulse.accuracy:.4f}{speed}",
            remaining=self._clock.remaining(pulse.step),
        )

    def epoch(self, row: dict[str, Any]) -> None:
        self._bar.console.print(epoch_line(row, self._epochs), highlight=False, soft_wrap=True)

    def stop(self) -> None:
        self._bar.stop()


class RemainingTime:
    """Estimates the time left from the steps made since the start of this process.

    Args:
        total_steps: the length of the training.
    """

    def __init__(self, total_steps: int):
        self._total = total_steps
        self._first = 0
        self._since = 0.0

    def start(self, step: int) -> None:
        self._first = step
        self._since = time.monotonic()

    def remaining(self, step: int) -> str:
        """ "1:02:03 left", or nothing before the first step."""
        if step == self._first:
            return ""
        seconds = round((time.monotonic() - self._since) / (step - self._first) * (self._total - step))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left"


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """One row of metrics.csv as a line for people."""
    parts = [f"epoch {row['epoch']}/{epochs}", f"loss {row['loss']:.4f}", f"accuracy {row['accuracy']:.4f}"]
    if row["val_loss"] is not None:
        parts += [f"val_loss {row['val_loss']:.4f}", f"val_accuracy {row['val_accuracy']:.4f}"]
    if row["images_per_second"] is not None:
        parts.append(f"{row['images_per_second']:,.0f} images/s")
    return "  ".join(parts)


def build_progress(kind: Literal["auto", "rich", "plain", "none"], epochs: int, total_steps: int) -> ProgressDisplay:
    """The display `kind` names; `auto` is rich in a terminal and plain elsewhere."""
    if kind == "auto":
        kind = "rich" if Console(stderr=True).is_terminal else "plain"
    match kind:
        case "rich":
            return RichProgress(epochs, total_steps)
        case "plain":
            return PlainProgress(epochs, total_steps)
        case _:
            return SilentProgress()
