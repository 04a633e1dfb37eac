"""What a person sees of a training: nothing is cut, and the remaining time is that of the steps to come."""

import io
import re

import pytest
from rich.console import Console

from cnnlab.training import progress
from cnnlab.training.progress import PlainProgress, Pulse, RemainingTime, RichProgress

ROW = {
    "epoch": 12,
    "loss": 0.123456,
    "accuracy": 0.9876,
    "val_loss": 0.2345,
    "val_accuracy": 0.8765,
    "images_per_second": 12345.6,
}
PULSE = Pulse(step=2345, epoch=12, loss=0.1234, accuracy=0.9876, images_per_second=12345.6, steady=True)
NUMBERS = {"12/200", "0.1235", "0.1234", "0.9876", "0.2345", "0.8765", "12,346"}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


SCORES = ["loss", "accuracy", "val_loss", "val_accuracy"]


def shown(width: int, *, validates: bool = True) -> list[str]:
    """The lines of a training of 200 epochs in a terminal: title, a row, and all states of the live line."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    display = RichProgress(200, 40_000, scores=SCORES if validates else SCORES[:2], console=console)
    display.start(0)
    display.chunk(PULSE)
    display.epoch(ROW if validates else ROW | {"val_loss": None, "val_accuracy": None})
    display.stop()
    text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", console.file.getvalue())
    return [line for line in re.split(r"[\r\n]+", text) if line]


def words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split() if re.match(r"\d", word) and ":" not in word}


@pytest.mark.parametrize("width", [30, 50, 80, 200])
def test_every_line_fits_the_terminal_and_no_number_is_cut(width):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    assert words(lines) - {"0"} <= NUMBERS


def test_at_80_columns_nothing_is_missing():
    title, row = (next(line for line in shown(80) if part in line) for part in ("val_accuracy", "0.8765"))
    assert title.split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "images/s", "left"]
    assert row.split()[:6] == ["12/200", "0.1235", "0.9876", "0.2345", "0.8765", "12,346"]
    live = shown(80)[-1]
    assert all(part in live for part in ("epoch 12/200", "loss 0.1234", "accuracy 0.9876", "12,346 images/s", "left"))
    assert "━" in shown(100)[-1]


def test_at_50_columns_the_speed_goes_and_the_validation_stays():
    title = next(line for line in shown(50) if "val_accuracy" in line)
    assert title.split() == ["epoch", "loss", "val_loss", "val_accuracy"]


def test_without_validation_there_is_no_column_for_it():
    assert not any("val_" in line for line in shown(80, validates=False))


def test_a_log_has_all_numbers_in_each_line_with_their_names(capsys):
    display = PlainProgress(200, 40_000)
    display.start(0)
    display.chunk(PULSE)
    display.epoch(ROW)
    line = capsys.readouterr().err.splitlines()[-1]
    expected = "epoch 12/200  loss 0.1235  accuracy 0.9876  val_loss 0.2345  val_accuracy 0.8765  12,346 images/s"
    assert line.startswith(expected)
    assert line.endswith(" left")


def test_the_remaining_time_leaves_out_what_waited_for_the_compiler(clock):
    remaining = RemainingTime(100)
    remaining.start(0)
    clock.now = 30.0
    remaining.advance(1, steady=False)
    assert remaining.left == ""
    clock.now = 31.0
    remaining.advance(11, steady=True)
    assert remaining.left == "0:00:09"  # 89 steps at 10 a second
    clock.now = 40.0
    remaining.advance(12, steady=False)  # the validation was compiled
    assert remaining.left == "0:00:09"
