"""One training on several devices and on several hosts (logical CPU devices, and processes on loopback)."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

LAUNCHER = Path(__file__).parent / "logical_devices.py"
SMALL = (
    *("input_shape=[8,8,1]", "model.padding=same", "trainer.batch_size=64", "trainer.precision=float32"),
    *("optimizer=sgd", "optimizer.learning_rate=0.05", "augmentation=shift_flip", "augmentation.shift_flip.shift=1"),
    "trainer.progress=plain",
    "initializer=lsuv",  # the one that looks at data
    "optimizer.lookahead_every=3",
    "model.dropout=0.0",  # masks cannot be the same for one replica and for two
)


def start(*arguments: str, devices: int = 1, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(LAUNCHER), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CNNLAB_LOGICAL_DEVICES": str(devices), **environment},
    )


def train_apart(directory: Path, *overrides: str, devices: int = 1) -> Path:
    process = start("train", *SMALL, f"hydra.run.dir={directory}", *overrides, devices=devices)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    return directory


def cluster(index: int, ports: list[int]) -> dict[str, str]:
    workers = [f"127.0.0.1:{port}" for port in ports]
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})}


def start_workers(*arguments: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as first, socket.socket() as second:
        for free in (first, second):
            free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1] for free in (first, second)]
    return [start("train", *arguments, **cluster(index, ports)) for index in (1, 0)]


def finish(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        _, messages = worker.communicate(timeout=300)
        assert worker.returncode == 0, messages


def weights(run: Path) -> list[np.ndarray]:
    last = sorted((run / "checkpoints").glob("step-*.npz"))[-1]
    with np.load(last) as archive:
        return [archive[key] for key in sorted(archive.files) if archive[key].dtype == np.float32]


def rows(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "metrics.csv").drop(columns=["seconds", "images_per_second"])


OPTIONS = ("trainer.steps_per_epoch=10", "augmentation=[shift_flip,mixup]", "loss=focal", "metric=[auc,f1]")
TWENTY = ("trainer.steps=20", *OPTIONS)


@pytest.fixture(scope="module")
def one_device(train) -> Path:
    return train(*SMALL, *TWENTY)


REFUSED_ON_TWO_DEVICES = {
    ("trainer.batch_size=63", "augmentation=none"): (
        "trainer.batch_size=63 does not divide by the 2 replicas; the nearest that does is 64"
    ),
    ("trainer.batch_size=66", "augmentation=cutmix"): (
        "trainer.batch_size=66: cutmix mixes images in pairs on each of 2 replicas; use a multiple of 4"
    ),
    ("optimizer.gradient_accumulation_steps=4",): (
        "optimizer.gradient_accumulation_steps=4: Keras cannot accumulate gradients on 2 replicas"
    ),
    ("trainer.devices=3",): "trainer.devices=3: this host has 2 CPU device(s)",
}


def test_mirrored_over_one_device_is_that_device(train):
    given = (*SMALL, "trainer.steps=4", "optimizer.gradient_accumulation_steps=2")
    mirrored, alone = train(*given, "trainer.strategy=mirrored"), train(*given)
    assert (mirrored / "steps.csv").read_bytes() == (alone / "steps.csv").read_bytes()


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory) -> tuple[Path, list[str]]:
    """In one process on two devices: the errors of each command that is refused, and a training that is resumed."""
    folder = tmp_path_factory.mktemp("two")
    unshifted = [override for override in SMALL if not override.startswith("augmentation")]
    refused = [["train", *unshifted, *given, f"hydra.run.dir={folder}/refused"] for given in REFUSED_ON_TWO_DEVICES]
    half = ["train", *SMALL, "trainer.steps=10", *OPTIONS, "trainer.devices=2", f"hydra.run.dir={folder}/run"]
    rest = ["train", f"resume={folder}/run", "trainer.steps=20"]
    process = start(*(word for command in (*refused, half) for word in (*command, "--")), *rest, devices=2)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert not (folder / "refused").exists()
    return folder / "run", [line for line in messages.splitlines() if line.startswith("error: ")]


def assert_same_training(run: Path, reference: Path) -> None:
    for mine, theirs in zip(weights(run), weights(reference), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    pd.testing.assert_frame_equal(rows(run), rows(reference), atol=1e-4, rtol=1e-4)


def test_two_devices_train_and_resume_what_one_trains_at_once(one_device, two_devices):
    run, _ = two_devices
    assert json.loads((run / "run.json").read_text())["replicas"] == 2
    assert_same_training(run, one_device)


@pytest.mark.slow
def test_two_devices_see_the_windows_of_image_files_that_one_sees(train, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
    small = [override for override in SMALL if not override.startswith("augmentation")]
    data = ("dataset=image_folder", f"dataset.root={tmp_path}/photos", "model=mnist_cnn", "trainer.batch_size=4")
    given = (*small, *data, "augmentation=[random_resized_crop,flip]", "trainer.steps=3")
    run = tmp_path / "run"
    process = start("train", *given, "trainer.devices=2", f"hydra.run.dir={run}", devices=2)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    assert_same_training(run, train(*given))


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["trainer.data=stream", "trainer.steps_per_call=4"])
def test_however_two_devices_are_fed_they_train_what_one_trains(one_device, tmp_path, extra):
    assert_same_training(train_apart(tmp_path / "run", *TWENTY, "trainer.devices=2", extra, devices=2), one_device)


def test_what_two_devices_cannot_do_is_refused_with_what_they_can(two_devices):
    _, errors = two_devices
    for error, expected in zip(errors, REFUSED_ON_TWO_DEVICES.values(), strict=True):
        assert error.startswith(f"error: {expected}")


@pytest.mark.slow
def test_gradients_are_clipped_by_the_norm_of_the_whole_batch(tmp_path):
    clipped = ("trainer.steps=10", "optimizer.global_clipnorm=0.05")
    one = train_apart(tmp_path / "one", *clipped)
    two = train_apart(tmp_path / "two", *clipped, "trainer.devices=2", devices=2)
    for mine, reference in zip(weights(two), weights(one), strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-5)


@pytest.mark.slow
def test_batch_normalisation_and_dropout_train_on_two_devices_and_resume_exactly(tmp_path):
    options = (
        "model.batch_norm=true",
        "model.dropout=0.5",
        "trainer.devices=2",
        "trainer.steps_per_epoch=4",
        "metric=auc",
    )
    whole = train_apart(tmp_path / "whole", *options, "trainer.epochs=2", devices=2)
    part = train_apart(tmp_path / "part", *options, "trainer.epochs=1", devices=2)
    process = start("train", f"resume={part}", "trainer.epochs=2", devices=2)
    _, messages = process.communicate(timeout=300)
    assert process.returncode == 0, messages
    pd.testing.assert_frame_equal(rows(part), rows(whole), check_exact=True)


def test_a_cluster_of_anything_but_workers_is_refused(train, monkeypatch, capsys):
    config = {"cluster": {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    train(code=2)
    message = capsys.readouterr().err
    assert "error: TF_CONFIG=" in message
    assert "expected" in message


def test_devices_are_not_counted_on_several_hosts(train, monkeypatch, capsys):
    config = {"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    train("trainer.strategy=multi_worker", "trainer.devices=1", code=2)
    assert "error: trainer.devices=1: a training on several hosts takes all devices" in capsys.readouterr().err


@pytest.mark.slow
def test_two_hosts_train_what_one_process_trains(one_device, tmp_path):
    run = tmp_path / "run"
    finish(start_workers(*SMALL, *TWENTY, f"hydra.run.dir={run}"))
    assert_same_training(run, one_device)


@pytest.mark.slow
def test_a_lost_host_ends_the_other_clearly_and_both_resume_exactly(tmp_path):
    run, reference = tmp_path / "run", tmp_path / "reference"
    options = (*SMALL, "model.batch_norm=true", "trainer.checkpoint_every='5 steps'")
    workers = start_workers(*options, "trainer.epochs=300", f"hydra.run.dir={run}")
    wait_for(run / "checkpoints" / "step-00000015.npz", workers)
    workers[0].kill()
    workers[0].communicate()
    _, messages = workers[1].communicate(timeout=120)
    assert workers[1].returncode == 1
    assert "error: worker 0 lost another worker" in messages
    assert "Traceback" not in messages
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    finish(start_workers(f"resume={run}", "trainer.epochs=4"))
    finish(start_workers(*options, "trainer.epochs=4", f"hydra.run.dir={reference}"))
    assert (run / "steps.csv").read_bytes() == (reference / "steps.csv").read_bytes()
    pd.testing.assert_frame_equal(rows(run), rows(reference), check_exact=True)


def wait_for(path: Path, workers: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.02)
