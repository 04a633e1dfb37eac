"""Trainings on crops: resumed exactly, cached and streamed alike; evaluation and prediction take the middle."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli

SIX = (
    "trainer.steps=6",
    "trainer.steps_per_epoch=3",
    "trainer.batch_size=4",
    "augmentation=[random_resized_crop,flip]",
)
STORED = ("dataset.resize_size=12", "augmentation=[random_crop,flip]")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes of eight photographs of several sizes, some of them on their side."""
    folder, rng = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            exif = Image.Exif()
            exif[0x0112] = number + 1
            pixels = rng.integers(0, 256, (30 + number, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg", exif=exif)
    return folder


@pytest.fixture(scope="module")
def train_on(train, photos):
    """`train_on(*overrides)`: six steps on the photographs."""
    return lambda *overrides, **options: train(
        "dataset=image_folder", f"dataset.root={photos}", "model=mnist_cnn", *SIX, *overrides, **options
    )


@pytest.fixture(scope="module")
def whole(train_on) -> Path:
    return train_on()


@pytest.fixture(scope="module")
def stored(train_on) -> Path:
    return train_on(*STORED, "trainer.data=stream")


def assert_same(run: Path, reference: Path) -> None:
    assert (run / "steps.csv").read_bytes() == (reference / "steps.csv").read_bytes()
    columns = ["step", "loss", "val_loss", "val_accuracy"]
    rows = [pd.read_csv(each / "metrics.csv")[columns] for each in (run, reference)]
    pd.testing.assert_frame_equal(*rows, check_exact=True)


def test_windows_of_files_are_the_same_after_a_resume(train_on, whole):
    part = train_on("trainer.steps=4")
    assert cli.main(["train", f"resume={part}", "trainer.steps=6"]) == 0
    assert_same(part, whole)


def test_cached_and_streamed_crops_train_the_same(train_on, stored):
    assert_same(train_on(*STORED, "trainer.data=cached"), stored)


@pytest.mark.parametrize(
    "given", [("augmentation=random_crop", "dataset.resize_size=10"), ("augmentation=random_resized_crop",)]
)
def test_arrays_are_cropped_too(train, given):
    run = train(*given, "trainer.steps=1", "trainer.validation_steps=1", "trainer.steps_per_epoch=1")
    assert np.isfinite(pd.read_csv(run / "steps.csv").loss).all()


def test_the_model_takes_the_image_shape_and_is_evaluated_on_the_middle(stored, capsys):
    assert cli.main(["eval", f"run={stored}", "split=validation"]) == 0
    found = json.loads((stored / "eval" / "validation" / "metrics.json").read_text())
    best = json.loads((stored / "run.json").read_text())["best"]["step"]
    validated = pd.read_csv(stored / "metrics.csv").set_index("step").val_loss[best]
    assert found["loss"] == pytest.approx(validated, rel=1e-5)
    capsys.readouterr()


def test_predictions_on_crops_are_those_of_an_evaluation(stored, photos, tmp_path, capsys):
    output = tmp_path / "predictions.csv"
    assert cli.main(["predict", f"run={stored}", f"images={photos}", "tta=ten_crop", f"output={output}"]) == 0
    assert cli.main(["eval", f"run={stored}", f"data={photos}", "tta=ten_crop"]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert folder.name == "test-ten_crop-photos"
    evaluated, predicted = pd.read_csv(folder / "predictions.csv"), pd.read_csv(output)
    assert [*evaluated.file] == [*predicted.file]
    np.testing.assert_allclose(evaluated.confidence, predicted.probability, rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ("augmentation=random_crop",),
            "dataset.resize_size=null: random_crop cuts 8 pixels out of larger stored images",
        ),
        (("dataset.resize_size=8", "augmentation=random_crop"), "dataset.resize_size=8: random_crop cuts 8 pixels"),
        (("dataset.resize_size=7",), "dataset.resize_size=7: images of 8 pixels do not fit into it; use 8 or more"),
        (("dataset.resize_size=0",), "dataset.resize_size=0: must be at least 1"),
        (("trainer.data=cached",), "trainer.data=cached: random_resized_crop reads other windows"),
        (
            ("dataset.resize_size=12", "augmentation=random_crop", "augmentation.random_crop.shorter_side=[6,9]"),
            "augmentation.random_crop.shorter_side=[6, 9]: must be [smallest, largest] of 8 pixels or more",
        ),
        (("augmentation.random_resized_crop.scale=[0,1]",), "augmentation.random_resized_crop.scale=[0, 1]: must be"),
        (("augmentation=[flip,random_resized_crop]",), "use augmentation=[random_resized_crop,flip]"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(train_on, capsys, given, message):
    train_on(*given, code=2)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
