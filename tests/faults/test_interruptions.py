"""A run that is killed, stopped or starved of disk: nothing is lost, and it goes on where it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cnnlab import cli

OPTIONS = (
    *("input_shape=[8,8,1]", "model.padding=same", "model.dropout=0.3", "trainer.batch_size=64"),
    *("augmentation=shift_flip", "augmentation.shift_flip.shift=1", "schedule=cosine", "trainer.progress=none"),
    *("trainer.epochs=6", "trainer.checkpoint_every='5 steps'"),
)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    assert cli.main(["train", *OPTIONS, f"hydra.run.dir={run}"]) == 0
    return run


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list((run / "checkpoints").glob(f"step-*{step:05d}.npz")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def assert_equal_runs(run: Path, reference: Path) -> None:
    """CSV rows and final weights, byte for byte; wall-clock columns aside."""
    assert (run / "steps.csv").read_bytes() == (reference / "steps.csv").read_bytes()
    clock = ["seconds", "images_per_second"]
    rows, expected = (pd.read_csv(path / "metrics.csv").drop(columns=clock) for path in (run, reference))
    pd.testing.assert_frame_equal(rows, expected, check_exact=True)
    for name in ("best.npz", sorted((reference / "checkpoints").glob("step-*.npz"))[-1].name):
        with np.load(run / "checkpoints" / name) as mine, np.load(reference / "checkpoints" / name) as theirs:
            for key in theirs.files:
                if key != "state":
                    assert mine[key].tobytes() == theirs[key].tobytes()


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[Path, int, str]:
    """A run killed in its second epoch, its process's number, and what another was told that came while it wrote."""
    run = tmp_path_factory.mktemp("killed") / "run"
    command = [sys.executable, "-m", "cnnlab", "train", *OPTIONS, f"hydra.run.dir={run}"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_step(run, 25, writer)
        writer.send_signal(signal.SIGSTOP)  # it has the run still, but comes no further
        with redirect_stderr(StringIO()) as messages:
            assert cli.main(["train", f"resume={run}"]) == 2
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()
    return run, writer.pid, messages.getvalue()


@pytest.fixture
def killed_run(killed, tmp_path) -> Path:
    return shutil.copytree(killed[0], tmp_path / "run")


def test_a_second_process_cannot_write_the_same_run(killed):
    _, writer, messages = killed
    assert f"process {writer} is writing this run" in messages


def test_a_killed_run_resumes_to_the_same_bytes(killed_run, uninterrupted):
    assert json.loads((killed_run / "run.json").read_text())["status"] == "running"
    assert cli.main(["train", f"resume={killed_run}"]) == 0
    assert_equal_runs(killed_run, uninterrupted)
    assert json.loads((killed_run / "run.json").read_text())["status"] == "completed"


def test_a_damaged_last_checkpoint_falls_back_and_still_ends_with_the_same_bytes(killed_run, uninterrupted, capfd):
    last = sorted((killed_run / "checkpoints").glob("step-*.npz"))[-1]
    last.write_bytes(last.read_bytes()[:1000])
    assert cli.main(["train", f"resume={killed_run}"]) == 0
    assert f"{last.name}: damaged" in capfd.readouterr().err
    assert_equal_runs(killed_run, uninterrupted)


@pytest.fixture
def signal_at_the_first_checkpoint() -> Iterator[Callable[[Path], None]]:
    """`signal_at_the_first_checkpoint(run)` sends this process SIGUSR1 as soon as the run has one."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)  # where it comes too late it must not end the tests
    ended = threading.Event()

    def watch(run: Path) -> None:
        while not ended.wait(0.005):
            if list(run.glob("checkpoints/step-*.npz")):
                os.kill(os.getpid(), signal.SIGUSR1)
                return

    threads = []

    def start(run: Path) -> None:
        threads.append(threading.Thread(target=watch, args=(run,)))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_in_the_first_epoch_saves_the_state_and_the_run_goes_on_exactly(
    signal_at_the_first_checkpoint, uninterrupted, tmp_path, capfd
):
    run = tmp_path / "run"
    signal_at_the_first_checkpoint(run)
    assert cli.main(["train", *OPTIONS, f"hydra.run.dir={run}"]) == 128 + signal.SIGUSR1
    messages = capfd.readouterr().err
    assert f"resume with cnnlab train resume={run}" in messages
    assert "interrupted: " in messages
    assert "error: " not in messages
    assert "Traceback" not in messages
    assert (run / "report.html").exists()
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "last.keras").exists()
    assert cli.main(["train", f"resume={run}"]) == 0
    assert_equal_runs(run, uninterrupted)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_keeps_the_last_good_checkpoint_and_ends_with_one_line(small_disk, capfd):
    run = small_disk / "run"
    assert cli.main(["train", *OPTIONS, f"hydra.run.dir={run}"]) == 2
    messages = capfd.readouterr().err
    assert "No space left on device" in messages
    assert str(run) in messages
    assert "Traceback" not in messages
    for path in (run / "checkpoints").glob("*.npz"):
        with np.load(path) as archive:
            assert all(archive[key] is not None for key in archive.files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=absent"], "no such run directory"),
        (["resume=."], "is no run"),
    ],
)
def test_resuming_what_is_no_run_is_refused(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_finished_run_has_nothing_left_and_cannot_be_made_shorter(uninterrupted, capsys):
    before = (uninterrupted / "run.json").read_text()
    assert cli.main(["train", f"resume={uninterrupted}", "trainer.epochs=3"]) == 2
    assert "has made 102 steps already, more than the 51 asked for" in capsys.readouterr().err
    assert (uninterrupted / "run.json").read_text() == before


def test_an_edited_configuration_is_noticed(uninterrupted, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("learning_rate: 0.001", "learning_rate: 0.002"))
    assert cli.main(["train", f"resume={run}", "trainer.epochs=7"]) == 2
    assert "optimizer.learning_rate: 0.001 → 0.002" in capsys.readouterr().err


def test_a_run_goes_on_only_under_its_own_configuration(uninterrupted, capsys):
    assert cli.main(["train", f"resume={uninterrupted}", "optimizer.learning_rate=0.5"]) == 2
    message = capsys.readouterr().err
    assert "optimizer.learning_rate" in message
    assert "0.5" in message
