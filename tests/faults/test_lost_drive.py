"""A drive that goes away while its images are streamed."""

import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli
from cnnlab.data import data_loader

pytestmark = pytest.mark.slow

STREAMED = (
    *("dataset=image_folder", "dataset.validation=none", "trainer.data=stream", "input_shape=[8,8,1]"),
    *("model=mnist_cnn", "model.padding=same", "trainer.batch_size=8", "trainer.epochs=12", "trainer.progress=none"),
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    rng, tmp_path = np.random.default_rng(0), tmp_path_factory.mktemp("drive")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory) -> pd.DataFrame:
    """The steps of a training that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert train(photos, run) == 0
    return steps(run)


def away(photos: Path, run: Path, back: threading.Event, seconds: float) -> threading.Thread:
    """Take the folder away after the first epoch, and bring it back when told to, or after some time."""

    def move() -> None:
        while not (run / "metrics.csv").exists():
            time.sleep(0.01)
        photos.rename(photos.with_name("away"))
        back.wait(seconds)
        photos.with_name("away").rename(photos)

    thread = threading.Thread(target=move)
    thread.start()
    return thread


def train(photos: Path, run: Path) -> int:
    return cli.main(["train", f"dataset.root={photos}", *STREAMED, f"hydra.run.dir={run}"])


def steps(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "steps.csv")


def test_what_comes_back_in_time_costs_nothing_but_the_time(photos, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data_loader, "PAUSES", (1, 1, 5, 30))
    mover = away(photos, tmp_path / "run", threading.Event(), seconds=1.5)
    assert train(photos, tmp_path / "run") == 0
    mover.join()
    told = capsys.readouterr().err
    assert "; trying again in 1 s" in told
    pd.testing.assert_frame_equal(steps(tmp_path / "run"), whole, check_exact=True)


def test_what_stays_away_ends_the_training_where_it_can_be_resumed(photos, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data_loader, "PAUSES", (0,))
    run = tmp_path / "run"
    back = threading.Event()
    mover = away(photos, run, back, seconds=60)
    assert train(photos, run) == 2
    back.set()
    mover.join()
    error = capsys.readouterr().err.splitlines()[-1]
    last = len(steps(run))
    assert 10 <= last < 120
    assert f".png: is gone (step {last + 1}); saved at step {last}; resume with cnnlab train resume={run}" in error
    assert cli.main(["train", f"resume={run}"]) == 0
    pd.testing.assert_frame_equal(steps(run), whole, check_exact=True)
