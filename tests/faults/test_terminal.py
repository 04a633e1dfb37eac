"""A person at a terminal: Ctrl-C, and a pipe or a terminal that is closed."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "trainer.batch_size=64")


def status(run: Path) -> str:
    return json.loads((run / "run.json").read_text())["status"]


class Terminal:
    """`cnnlab train` in a terminal.

    Args:
        columns: of the terminal.
        arguments: of the command.
    """

    def __init__(self, columns: int, *arguments: str):
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cnnlab", "train", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": "xterm"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.output = ""

    def read_until(self, text: str | None) -> None:
        """Read on until `text` appears; None reads to the end."""
        start = len(self.output)
        while text is None or text not in self.output[start:]:
            try:
                self.output += os.read(self._mine, 65536).decode(errors="replace")
            except OSError:  # the process has ended
                assert text is None, self.output
                return

    def press(self, key: str) -> None:
        os.write(self._mine, key.encode())

    def close(self) -> None:
        if self._mine is not None:
            os.close(self._mine)
            self._mine = None

    def screen(self) -> list[str]:
        """What is seen at the end; it is never scrolled and its lines never wrap."""
        lines, row = [""], 0
        for token in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.output):
            if token == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif token.endswith("A") and token.startswith("\x1b"):
                row -= int(token[2:-1] or 1)
            elif token == "\x1b[2K":
                lines[row] = ""
            elif not token.startswith("\x1b") and token != "\r":
                lines[row] += token
        return lines


@pytest.fixture
def terminal() -> Callable[..., Terminal]:
    opened = []

    def run(*arguments) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield run
    for each in opened:
        each.process.kill()
        each.process.wait()
        each.close()


def test_ctrl_c_is_answered_saved_and_told_and_leaves_no_bar(terminal, tmp_path):
    run = tmp_path / "run"
    window = terminal(80, *SMALL, "trainer.epochs=2000", f"hydra.run.dir={run}")
    window.read_until("loading TensorFlow")
    window.read_until("compiling the training step")
    window.read_until("2/2000 ")
    window.press("\x03")
    window.read_until("stopping after this chunk; Ctrl-C again aborts")
    window.read_until(None)
    assert window.process.wait(timeout=60) == 130

    told = " ".join(window.screen())
    assert "1,149 train, 288 validation, 360 test images, 10 classes" in told
    assert "epoch      loss  accuracy  val_loss  val_accuracy   images/s      left" in told
    step = int((run / "steps.csv").read_text().splitlines()[-1].split(",")[0])
    assert f"interrupted: saved at step {step}; resume with cnnlab train resume={run}" in told
    for absent in ("error:", "━", "loading", "compiling", "Traceback"):
        assert absent not in told
    assert window.output.rindex("\x1b[?25h") > window.output.rindex("\x1b[?25l")  # the cursor is back
    assert status(run) == "interrupted"
    assert 'alt="Loss and accuracy of each epoch' in (run / "report.html").read_text()


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_the_training(cnnlab_process, tmp_path):
    run = tmp_path / "run"
    command = f"{sys.executable} -m cnnlab train {' '.join(SMALL)} trainer.epochs=1 hydra.run.dir={run} 2>&1"
    script = f"({command}; echo $? >{tmp_path}/code) | head -1"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert f"to train in {run}" in answer.stdout
    assert (tmp_path / "code").read_text() == "0\n"
    assert status(run) == "completed"
    assert (run / "report.html").exists()
