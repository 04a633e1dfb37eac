"""Training on tables whose examples have weights, and on classes of unequal size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cnnlab import cli

SHAPE = ("model=mnist_cnn", "trainer.batch_size=8", "augmentation=none", "trainer.progress=plain")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Images 0 to 39 of 8×8 pixels: the even ones are dark, the others light."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 130, (8, 8)) + 120 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def train_table(images, train):
    """`train_table(weights, *overrides)` trains on 24 images with weights for dark and light, and validates on 16."""

    def train_table(weights: tuple[float, float] | None, *overrides: str) -> Path:
        rows = [
            (f"{number}.png", ["dark", "light"][number % 2], "train" if number < 24 else "val") for number in range(40)
        ]
        frame = pd.DataFrame(rows, columns=["path", "label", "split"])
        if weights:
            frame["weight"] = [weights[number % 2] for number in range(40)]
        frame.to_csv(images / "images.csv", index=False)
        return train("dataset=table", f"dataset.root={images / 'images.csv'}", *SHAPE, *overrides)

    return train_table


def columns(run: Path) -> tuple[list[float], list[float]]:
    return (
        pd.read_csv(run / "steps.csv")["loss"].tolist(),
        pd.read_csv(run / "metrics.csv")["val_loss"].tolist(),
    )


AS_CLASS_WEIGHT = "loss.class_weight={dark:0.5,light:1.5}"


@pytest.fixture(scope="module")
def class_weighted(train_table) -> Path:
    return train_table(None, AS_CLASS_WEIGHT)


@pytest.mark.parametrize("data", ["cached", "stream"])
def test_weights_count_in_the_training_loss_relative_to_their_mean_and_in_no_metric(train_table, class_weighted, data):
    assert columns(train_table((10, 30), f"trainer.data={data}")) == columns(class_weighted)


def test_mixed_images_have_mixed_weights(train_table):
    mixed = ("augmentation=mixup", "trainer.steps=3")
    losses, _ = columns(train_table((10, 30), *mixed))
    np.testing.assert_allclose(losses, columns(train_table(None, AS_CLASS_WEIGHT, *mixed))[0], rtol=1e-6)


def test_weights_that_are_all_0_are_refused(images, capsys):
    rows = "".join(f"{number}.png,{number % 2},0\n" for number in range(24))
    (images / "zero.csv").write_text(f"path,label,weight\n{rows}")
    arguments = ("dataset=table", f"dataset.root={images / 'zero.csv'}", "input_shape=[8,8,1]", "model.padding=same")
    assert cli.main(["train", *arguments, *SHAPE, f"hydra.run.dir={images / 'run'}"]) == 2
    assert "error: dataset.weight_column: all weights of the training split are 0" in capsys.readouterr().err


@pytest.fixture(scope="module")
def train_unequal(images, train):
    """`train_unequal(*overrides)` trains on 20 dark images and a light one."""
    numbers = [number for number in range(40) if number % 2 == 0 or number < 2]
    rows = "".join(f"{number}.png,{['dark', 'light'][number % 2]}\n" for number in numbers)
    (images / "unequal.csv").write_text(f"path,label\n{rows}")

    def train_unequal(*overrides: str) -> Path:
        table = ("dataset=table", f"dataset.root={images / 'unequal.csv'}", "dataset.validation=none")
        return train(*table, *SHAPE, *overrides)

    return train_unequal


def test_balanced_draws_resume_exactly(train_unequal, capsys):
    balanced = ("dataset.sampling=balanced", "augmentation=flip", "trainer.batch_size=4")
    whole = train_unequal(*balanced, "trainer.epochs=2")
    told = capsys.readouterr().err
    assert "2 epochs of 5 steps, 4 images each, as many of each class" in told
    assert "very unequal" not in told
    parts = train_unequal(*balanced, "trainer.epochs=1")
    assert cli.main(["train", f"resume={parts}", "trainer.epochs=2"]) == 0
    assert columns_of_steps(parts) == columns_of_steps(whole)
    assert (parts / "last.keras").exists()


def columns_of_steps(run: Path) -> list[list[float]]:
    return pd.read_csv(run / "steps.csv").to_numpy().tolist()


def test_unequal_classes_get_a_hint(train_unequal, capsys):
    train_unequal("trainer.steps=1")
    assert "unequal: the classes are very unequal, from 1 (light) to 20 (dark) images" in capsys.readouterr().err
