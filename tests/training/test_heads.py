"""Two classes with one sigmoid output: the same problem, the same files as with a softmax over two."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from cnnlab import cli


@pytest.fixture(scope="module")
def zeros_and_ones(tmp_path_factory):
    """The zeros and ones of scikit-learn's digits, as an NPZ file."""
    digits = load_digits()
    chosen = digits.target < 2
    images, labels = (digits.images[chosen] * 15).astype(np.uint8)[..., None], digits.target[chosen]
    path = tmp_path_factory.mktemp("data") / "zeros_and_ones.npz"
    parts = {"train": slice(0, 200), "validation": slice(200, 280), "test": slice(280, None)}
    np.savez(
        path,
        class_names=["zero", "one"],
        **{f"x_{name}": images[part] for name, part in parts.items()},
        **{f"y_{name}": labels[part] for name, part in parts.items()},
    )
    return path


@pytest.fixture(scope="module")
def run(train, zeros_and_ones):
    data = ["dataset=arrays", f"dataset.root={zeros_and_ones}", "dataset.num_classes=2", "dataset.class_names=null"]
    arguments = ["model.head=sigmoid", "augmentation=[shift,mixup]", "augmentation.shift.shift=1"]
    smooth = ["loss.label_smoothing=0.1", "loss.class_weight=balanced", "trainer.batch_size=20"]
    return train(*data, *arguments, *smooth, "trainer.epochs=5")


def test_the_exported_model_gives_the_second_classs_probability(run):
    model = keras.models.load_model(run / "model.keras")
    assert model.output_shape == (None, 1)
    probabilities = model(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)).numpy()
    assert ((probabilities > 0) & (probabilities < 1)).all()


def test_validation_and_evaluation_agree_with_the_exported_model(run, zeros_and_ones):
    assert cli.main(["eval", f"run={run}", "split=validation"]) == 0
    figures = json.loads((run / "eval" / "validation" / "metrics.json").read_text())
    best = json.loads((run / "run.json").read_text())["best"]
    assert figures["accuracy"] == pytest.approx(best["value"])
    assert figures["accuracy"] > 0.9
    with np.load(zeros_and_ones) as data:
        ones = keras.models.load_model(run / "model.keras")(data["x_validation"]).numpy()[:, 0] > 0.5
        assert np.mean(ones == data["y_validation"]) == pytest.approx(figures["accuracy"])
    confusion = pd.read_csv(run / "eval" / "validation" / "confusion_matrix.csv", index_col=0)
    assert confusion.shape == (2, 2)
    assert np.trace(confusion) == figures["accuracy"] * 80


def test_more_classes_than_two_are_refused(tmp_path, capsys):
    assert cli.main(["train", "model.head=sigmoid", f"hydra.run.dir={tmp_path}/run"]) == 2
    assert "model.head=sigmoid: tells two classes apart, not 10; use model.head=softmax" in capsys.readouterr().err
