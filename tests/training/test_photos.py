"""`cnnlab train dataset=image_folder dataset.root=photos`, as it stands, and what the run tells of its data."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from cnnlab import cli
from cnnlab.data.image_files import NO_IMAGE

BRIEF = ("trainer.steps=2", "trainer.batch_size=4", "trainer.precision=float32", "trainer.progress=plain")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Three classes of 10, 5 and 1 photographs, and two files that are none."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    rng = np.random.default_rng(0)
    for name, count in (("cat", 10), ("dog", 5), ("owl", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(folder / name / f"{number}.jpg")
    (folder / "cat" / "Thumbs.db").write_bytes(b"no image")
    (folder / "dog" / "download.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory) -> tuple[Path, str]:
    """The run, and what was written to stderr."""
    printed, told = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(told):
        patch.chdir(tmp_path_factory.mktemp("work"))
        assert cli.main(["train", "dataset=image_folder", f"dataset.root={photos}", *BRIEF]) == 0
    return Path(printed.getvalue().splitlines()[-1]), told.getvalue()


def test_the_run_is_named_after_the_folder(trained):
    run, _ = trained
    assert run.parent.name == "photo_cnn-photos"


def test_each_split_is_told_in_a_line(trained):
    _, told = trained
    lines = [line.partition(" ")[2] for line in told.splitlines()]
    assert "photo_cnn: 750,787 parameters" in told
    assert "no validation split was found: 0.2 of each class is held out (dataset.validation=auto)" in lines
    assert "dataset.validation=0.2: owl: 1 image each, which stays in the training split; none is held out" in lines
    assert (
        f"photos, train: 13 images of 3 classes, from 1 (owl) to 8 (cat); 2 skipped (1 {NO_IMAGE}; 1 empty)"
    ) in lines
    assert "photos, validation: 3 images of 2 classes, from 1 (dog) to 2 (cat); none of owl" in lines


def test_the_run_keeps_what_its_data_made_of_the_configuration(trained):
    config = OmegaConf.load(trained[0] / "config.yaml")
    assert config.dataset.num_classes == 3
    assert config.dataset.validation == 0.2
    assert config.dataset.name == "photos"


def test_the_skipped_files_are_listed(trained, photos):
    table = pd.read_csv(trained[0] / "skipped_files.csv")
    assert dict(zip(table.path, table.reason, strict=True)) == {
        str(photos / "cat" / "Thumbs.db"): NO_IMAGE,
        str(photos / "dog" / "download.jpg"): "empty",
    }


def test_the_report_tells_the_same(trained):
    page = (trained[0] / "report.html").read_text()
    assert json.loads((trained[0] / "run.json").read_text())["data"]["train"]["smallest"] == ["owl", 1]
    for text in ("1 (owl)", "8 (cat)", "1 (dog)", f"1 {NO_IMAGE}; 1 empty"):
        assert f">{text}</td>" in page


def test_the_run_goes_on_and_is_evaluated_as_it_stands(trained, capsys):
    run, _ = trained
    assert cli.main(["train", f"resume={run}", "trainer.steps=3"]) == 0
    assert cli.main(["eval", f"run={run}", "split=validation"]) == 0
    assert json.loads((run / "eval" / "validation" / "metrics.json").read_text())["examples"] == 3
    capsys.readouterr()


def test_inspect_counts_the_classes_of_the_folder(photos, capsys):
    assert cli.main(["inspect", "dataset=image_folder", f"dataset.root={photos}", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][-1]["output_shape"] == [3]


def test_an_array_file_tells_its_classes_too(tmp_path, capsys):
    x, y = np.zeros((8, 28, 28), np.uint8), np.arange(8) % 4
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y)
    assert cli.main(["inspect", "dataset=arrays", f"dataset.root={tmp_path / 'set.npz'}", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][-1]["output_shape"] == [4]
