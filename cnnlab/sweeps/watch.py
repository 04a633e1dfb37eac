"""What a person sees while a sweep runs: a live table in a terminal, plain lines in a log."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cnnlab.sweeps.state import Entry, SweepState

REFRESH_SECONDS = 1.0
TAIL_BYTES = 4096
STYLES = {"running": "cyan", "done": "green", "failed": "red", "diverged": "red"}
STYLES |= {"interrupted": "yellow", "unknown": "yellow"}


class Display:
    """Follows a sweep; this one shows nothing."""

    def began(self, name: str) -> None: ...

    def ended(self, name: str) -> None: ...

    def refresh(self) -> None: ...


class Lines(Display):
    """A line when a job begins and one when it ends."""

    def __init__(self, sweep_state: SweepState):
        self._sweep_state = sweep_state

    def began(self, name: str) -> None:
        _say(f"{name} begins on {self._sweep_state.entries[name].device}")

    def ended(self, name: str) -> None:
        entry, row = self._sweep_state.entries[name], _row(self._sweep_state, name, Paces(self._sweep_state))
        best = f", best {row['best']}" if row["best"] else ""
        done = sum(1 for _ in self._sweep_state.of_state("done"))
        outcome = entry.state if entry.reason is None else f"{entry.state}: {entry.reason}"
        _say(f"{name} {outcome}{best}, {row['time']} ({done} of {len(self._sweep_state.entries)} done)")


class LiveTable(Display):
    """A table of all jobs that is redrawn every second, from this thread: no other may run beside a fork."""

    def __init__(self, sweep_state: SweepState, live: Live):
        self._sweep_state = sweep_state
        self._live = live
        self._drawn = 0.0
        self._paces = Paces(sweep_state)

    def began(self, name: str) -> None:
        self._paces.began(name)

    def refresh(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            self._live.update(jobs_table(self._sweep_state, self._live.console.height - 4, self._paces), refresh=True)


class Paces:
    """How long the epochs of jobs take, by when their rows of metrics.csv were written: without what comes before the
    first row, such as the compilation, which the seconds in it count."""

    def __init__(self, sweep_state: SweepState):
        self._folder = sweep_state.directory
        self._earlier: dict[str, float] = {}
        self._first: dict[str, tuple[float, float]] = {}

    def began(self, name: str) -> None:
        """Note that a job begins, perhaps again: the row that is there tells nothing of this attempt."""
        table = self._folder / name / "metrics.csv"
        self._earlier[name] = table.stat().st_mtime if table.exists() else 0.0
        self._first.pop(name, None)

    def seconds_per_epoch(self, name: str, last: dict[str, str], written: float) -> float:
        """See `_left`; before the second row of an attempt what the last row says."""
        epochs = float(last["epoch"])
        if written > self._earlier.get(name, 0.0):
            first_epochs, first_written = self._first.setdefault(name, (epochs, written))
            if epochs > first_epochs:
                return (written - first_written) / (epochs - first_epochs)
        return float(last["seconds"])


@contextmanager
def choose_display(progress: str, sweep_state: SweepState) -> Iterator[Display]:
    """Show a sweep for the length of the block.

    Args:
        progress: rich, plain, none, or auto: by terminal.
        sweep_state: what is shown.
    """
    console = Console(stderr=True)
    if progress == "auto":
        progress = "rich" if sys.stderr.isatty() and not console.is_dumb_terminal else "plain"
    if progress == "rich":
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield LiveTable(sweep_state, live)
    else:
        yield Lines(sweep_state) if progress == "plain" else Display()


def jobs_table(sweep_state: SweepState, most: int | None = None, paces: Paces | None = None) -> Table:
    """The jobs of a sweep with their state, progress, best result and remaining time.

    Args:
        sweep_state: of the sweep.
        most: rows to show, those that run and fail first; None for all.
        paces: of the jobs that run; None to go by what their last rows say.
    """
    paces = paces or Paces(sweep_state)
    names = list(sweep_state.entries)
    counts = {state: sum(1 for _ in sweep_state.of_state(state)) for state in ("done", "running", "pending")}
    title = f"{sweep_state.directory.name}: " + ", ".join(f"{count} {state}" for state, count in counts.items())
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = ["job", "state", "epoch", "best", "time"] + (["left", "device"] if counts["running"] else [])
    for column in columns:
        table.add_column(column, justify="right" if column in ("epoch", "time", "left") else "left", overflow="fold")
    if most is not None and len(names) > most:
        order = ("running", "failed", "diverged", "interrupted", "unknown", "pending", "done")
        shown = sorted(names, key=lambda name: order.index(sweep_state.entries[name].state))[: max(1, most)]
        names = [name for name in names if name in shown]
    for name in names:
        row = _row(sweep_state, name, paces)
        state = sweep_state.entries[name].state
        style = STYLES.get(state, "dim")
        table.add_row(name, f"[{style}]{state}[/]", *(row[column] for column in columns[2:]))
    return table


def _say(text: str) -> None:
    print(datetime.now().strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def _row(sweep_state: SweepState, name: str, paces: Paces) -> dict[str, str]:
    """What is shown of a job, as text."""
    entry = sweep_state.entries[name]
    running = entry.state == "running"
    record = sweep_state.record(name) or {}
    table = sweep_state.directory / name / "metrics.csv"
    last = _last_row(table)
    best = record.get("best") or {}
    trainer = (record.get("config") or {}).get("trainer", {})
    left = None
    if running and last and trainer:
        written = table.stat().st_mtime
        left = _left(last, trainer, paces.seconds_per_epoch(name, last, written), written) + _ending(sweep_state)
    return {
        "epoch": f"{last['epoch']}/{_epochs(trainer)}" if last else "",
        "best": f"{best['monitor']} {best['value']:.4f}" if best.get("value") is not None else "",
        "time": _clock(_seconds(entry, record)),
        "left": _clock(left),
        "device": (entry.device or "") if running else "",
    }


def _seconds(entry: Entry, record: dict[str, Any]) -> float | None:
    """How long a job took from the start of its process to its end, in all attempts whose ends are known.

    Where another launcher starts the processes only the trainings within them are known, from the run's record.
    """
    running = entry.state == "running"
    if running and entry.started and not entry.ended:
        return entry.seconds + (datetime.now(UTC) - datetime.fromisoformat(entry.started)).total_seconds()
    if entry.seconds:
        return entry.seconds
    attempts = [*record.get("earlier_sessions", []), record]
    spans = [(attempt.get("started"), attempt.get("ended")) for attempt in attempts]
    if running:
        spans[-1] = (spans[-1][0], spans[-1][1] or datetime.now(UTC).isoformat())
    known = [datetime.fromisoformat(end) - datetime.fromisoformat(start) for start, end in spans if start and end]
    return sum(known, timedelta()).total_seconds() if known else None


def _ending(sweep_state: SweepState) -> float:
    """What jobs of a sweep take after their last epoch, for models, figures and report: the median of those done."""
    found = []
    for name in sweep_state.of_state("done"):
        ended, table = sweep_state.entries[name].ended, sweep_state.directory / name / "metrics.csv"
        if ended and table.exists():
            found.append(max(0.0, datetime.fromisoformat(ended).timestamp() - table.stat().st_mtime))
    return median(found) if found else 0.0


def _left(last: dict[str, str], trainer: dict[str, Any], each: float, written: float) -> float:
    """Seconds until the last epoch of a job ends.

    Args:
        last: row of metrics.csv.
        trainer: of the configuration.
        each: seconds per epoch.
        written: when the row was, in seconds of the system's clock.
    """
    epochs = float(last["epoch"])
    share = int(last["step"]) / trainer["steps"] if trainer.get("steps") else epochs / trainer["epochs"]
    return max(0.0, epochs * (1 - share) / share * each - (time.time() - written))


def _epochs(trainer: dict[str, Any]) -> str:
    if trainer.get("steps"):
        each = trainer.get("steps_per_epoch")
        return f"{-(-trainer['steps'] // each)}" if each else "?"
    return f"{trainer.get('epochs', '?')}"


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def _last_row(path: Path) -> dict[str, str]:
    """The last complete row of a CSV file, reading no more than its ends."""
    try:
        with path.open("rb") as file:
            header = file.readline().decode()
            file.seek(max(file.tell(), file.seek(0, 2) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").rpartition("\n")[0].splitlines()
    except OSError:
        return {}
    if not lines:
        return {}
    (row,) = csv.DictReader([header, lines[-1]])
    return row
