"""What a person sees while a run starts and trains: a live line in a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cnnlab.config.scoring import NO_SCORES

log = logging.getLogger(__name__)

Kind = Literal["rich", "plain", "none"]

HEARTBEAT_SECONDS = 30.0  # at least one line this often in a log, however long an epoch takes
BAR = (5, 20)  # the narrowest and the widest bar; below, it is left out
COMPILING = "compiling the training step"

WIDTHS = {"epoch": 7, "val_accuracy": 12, "images/s": 9}
"""Least widths of columns of a training in a terminal; of the others, 8 or that of the title."""

KEPT = ("epoch", "val_accuracy", "val_loss", "loss", "accuracy", "left", "images/s")
"""The columns by importance: in a narrow terminal those go that are not among them, and then the last ones."""


@dataclass(frozen=True)
class Pulse:
    """Where the training stands after a chunk of steps.

    Attributes:
        step: steps made so far.
        epoch: the epoch under way, from 1.
        loss: mean training loss of the epoch so far.
        accuracy: mean training accuracy of the epoch so far, 0 to 1.
        images_per_second: training speed of the epoch so far; None before it is known.
        steady: whether nothing was traced or compiled since the pulse before, so that the time tells of the rest.
        scores: the metrics of the epoch so far.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    images_per_second: float | None
    steady: bool
    scores: Mapping[str, float] = field(default_factory=dict)


class ProgressDisplay(Protocol):
    """Something that follows a training."""

    def header(self, lines: Sequence[str]) -> None:
        """Say what will be trained."""

    def start(self, step: int) -> None:
        """The training begins after `step` steps; the first takes longer, since it is compiled."""

    def chunk(self, pulse: Pulse) -> None:
        """Some steps have been made."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch has ended; `row` is its row of metrics.csv."""

    def notice(self, text: str) -> None:
        """Say something at once; may be called from another thread."""

    def stop(self) -> None:
        """The training has ended, well or not; may be called from another thread."""


class SilentProgress:
    """Shows nothing but notices."""

    def header(self, lines: Sequence[str]) -> None: ...

    def start(self, step: int) -> None: ...

    def chunk(self, pulse: Pulse) -> None: ...

    def epoch(self, row: dict[str, Any]) -> None: ...

    def notice(self, text: str) -> None:
        _say(text)

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

    def header(self, lines: Sequence[str]) -> None:
        for line in lines:
            _say(line)

    def start(self, step: int) -> None:
        self._clock.start(step)
        self._tell(COMPILING)

    def chunk(self, pulse: Pulse) -> None:
        self._clock.advance(pulse.step, steady=pulse.steady)
        if time.monotonic() - self._spoken >= HEARTBEAT_SECONDS:
            numbers = _labelled(pulse_cells(pulse, self._clock.left))
            self._tell("  ".join([f"epoch {pulse.epoch}/{self._epochs}", f"step {pulse.step}", *numbers.values()]))

    def epoch(self, row: dict[str, Any]) -> None:
        cells = {"epoch": f"epoch {row['epoch']}/{self._epochs}"}
        cells |= _labelled(epoch_cells(row, self._epochs, self._clock.left))
        self._tell("  ".join(fitting(cells, Console(stderr=True).width if sys.stderr.isatty() else None)))

    def notice(self, text: str) -> None:
        _say(text)

    def stop(self) -> None: ...

    def _tell(self, line: str) -> None:
        _say(line)
        self._spoken = time.monotonic()


class RichProgress:
    """A live line with a bar, speed and remaining time; each epoch leaves a row of a table above it.

    Nothing is ever cut: what does not fit the terminal's width is left out, the least important first.

    Args:
        epochs, total_steps: as PlainProgress.
        scores: the columns of the training beside epoch, speed and time left.
        console: of the terminal.
    """

    def __init__(self, epochs: int, total_steps: int, *, scores: Sequence[str], console: Console):
        self._epochs = epochs
        self._total_steps = total_steps
        titles = ("epoch", *scores, "images/s", "left")
        self._columns = [(title, WIDTHS.get(title, max(8, len(title)))) for title in titles]
        self._console = console
        self._clock = RemainingTime(total_steps)
        self._pulse: Pulse | None = None
        self._began = time.monotonic()
        self._live = Live(
            get_renderable=self._line,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def header(self, lines: Sequence[str]) -> None:
        for line in lines:
            # words wrap, a path stays in one piece
            self._print(fill(line, self._console.width, break_long_words=False, break_on_hyphens=False))

    def start(self, step: int) -> None:
        self._clock.start(step)
        self._began = time.monotonic()
        self._print(self._row({title: title for title, _ in self._columns}), style="dim")
        self._live.start()

    def chunk(self, pulse: Pulse) -> None:
        self._clock.advance(pulse.step, steady=pulse.steady)
        self._pulse = pulse

    def epoch(self, row: dict[str, Any]) -> None:
        self._print(self._row(epoch_cells(row, self._epochs, self._clock.left)))

    def notice(self, text: str) -> None:
        self._print(text, style="yellow")

    def stop(self) -> None:
        self._live.stop()

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)

    def _row(self, cells: dict[str, str]) -> str:
        padded = {title: cells[title].rjust(least) for title, least in self._columns}
        return "  ".join(fitting(padded, self._console.width))

    def _line(self) -> Text:
        """The live line; it leaves room for the ^C that a terminal adds to it, which must not wrap."""
        pulse, width = self._pulse, self._console.width - 3
        if pulse is None:
            return _one_line(f"{COMPILING}, {time.monotonic() - self._began:.0f} s")
        cells = {"epoch": f"epoch {pulse.epoch}/{self._epochs}"} | _labelled(pulse_cells(pulse, self._clock.left))
        texts = fitting(cells, width)
        free = width - len("  ".join(texts)) - 2
        if free >= BAR[0]:
            length = min(free, BAR[1])
            texts.insert(1, ("━" * round(length * pulse.step / self._total_steps)).ljust(length, "·"))
        return _one_line("  ".join(texts))


class RemainingTime:
    """Estimates the time left from the steps made in this process, without those that waited for a compiler.

    Args:
        total_steps: the length of the training.
    """

    def __init__(self, total_steps: int):
        self._total = total_steps
        self._step = 0
        self._at = 0.0
        self._steps = 0
        self._seconds = 0.0

    def start(self, step: int) -> None:
        self._step, self._at = step, time.monotonic()

    def advance(self, step: int, *, steady: bool) -> None:
        """The training has come to `step`; only the time of `steady` stretches counts."""
        now = time.monotonic()
        if steady:
            self._steps += step - self._step
            self._seconds += now - self._at
        self._step, self._at = step, now

    @property
    def left(self) -> str:
        """ "1:02:03", or nothing while it is not known."""
        if not self._steps:
            return ""
        seconds = round(self._seconds / self._steps * (self._total - self._step))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}"


def epoch_cells(row: dict[str, Any], epochs: int, left: str) -> dict[str, str]:
    """One row of metrics.csv as text, by the titles of columns; what was not measured is empty."""
    numbers = {key: _number(value) for key, value in row.items() if key not in NO_SCORES}
    speed = row["images_per_second"]
    return {"epoch": f"{row['epoch']}/{epochs}", **numbers, "images/s": _speed(speed), "left": left}


def pulse_cells(pulse: Pulse, left: str) -> dict[str, str]:
    """The numbers of the epoch under way as text, by the titles of columns."""
    scores = {"loss": pulse.loss, "accuracy": pulse.accuracy, **pulse.scores}
    numbers = {title: _number(value) for title, value in scores.items()}
    return {**numbers, "images/s": _speed(pulse.images_per_second), "left": left}


def fitting(cells: dict[str, str], width: int | None) -> list[str]:
    """The cells that fit into `width` characters (None: all) with two between each, the most important ones.

    Args:
        cells: texts by title.
    """
    shown = sorted(cells, key=lambda title: KEPT.index(title) if title in KEPT else len(KEPT))
    while width is not None and len(shown) > 1 and len("  ".join(cells[title] for title in shown)) > width:
        shown.pop()
    return [text for title, text in cells.items() if title in shown]


def progress_kind(kind: Literal["auto", "rich", "plain", "none"]) -> Kind:
    """What `trainer.progress` means here: `auto` is rich in a terminal and plain elsewhere."""
    if kind != "auto":
        return kind
    console = Console(stderr=True)
    return "rich" if console.is_terminal and not console.is_dumb_terminal else "plain"


def build_progress(kind: Kind, epochs: int, total_steps: int, *, scores: Sequence[str]) -> ProgressDisplay:
    """The display of a kind; see PlainProgress and RichProgress for the arguments."""
    match kind:
        case "rich":
            return RichProgress(epochs, total_steps, scores=scores, console=Console(stderr=True))
        case "plain":
            return PlainProgress(epochs, total_steps)
        case _:
            return SilentProgress()


@contextmanager
def phase(text: str, kind: Kind) -> Iterator[None]:
    """Say what takes a while before the training begins: a line that is gone at the end, or one line of the log.

    The line does not move: what reports progress by itself, such as a download, writes beside it.
    """
    if kind == "rich":
        with Live(
            Text(f"{text} …"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        ) as live:
            live.refresh()
            yield
    else:
        if kind == "plain":
            log.info("%s …", text)
        yield


def shown_path(path: Path) -> Path:
    """A path relative to the working directory where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _labelled(cells: dict[str, str]) -> dict[str, str]:
    """The numbers there are, each with its title."""
    after = ("images/s", "left")
    numbers = {title: text for title, text in cells.items() if text and title != "epoch"}
    return {title: f"{text} {title}" if title in after else f"{title} {text}" for title, text in numbers.items()}


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.4g}"


def _speed(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _one_line(text: str) -> Text:
    return Text(text, style="cyan", no_wrap=True, overflow="crop")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
