"""`cnnlab eval`: what it writes, prints and refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from cnnlab import cli
from cnnlab.config.compose import launch
from cnnlab.data.dataset import Dataset
from cnnlab.data.load import load_dataset
from cnnlab.evaluation.evaluated_data import prepare
from cnnlab.evaluation.predictions import predict_probabilities, predict_views
from cnnlab.models.network import take_apart
from cnnlab.runs.files import digest
from cnnlab.runs.run import FORMAT

FILES = {
    "metrics.json",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "per_class.csv",
    "calibration.csv",
    "calibration.png",
    "predictions.csv",
    "mistakes.png",
}


@pytest.fixture(scope="module")
def dataset(run) -> Dataset:
    config = OmegaConf.load(run / "config.yaml")
    return load_dataset(config.dataset, config.seeds.split)


@pytest.fixture(scope="module")
def test_folder(run) -> Path:
    """RUN/eval/test/ after `cnnlab eval run=RUN`."""
    assert cli.main(["eval", f"run={run}"]) == 0
    return run / "eval" / "test"


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """`refused(*arguments)`: the one line that `cnnlab eval` ends with, with exit code 2."""

    def call(*arguments: str) -> str:
        assert cli.main(["eval", *arguments]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        return line

    return call


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_all_files_are_there_and_figures_open(test_folder):
    assert {path.name for path in test_folder.iterdir()} == FILES
    for path in test_folder.glob("*.png"):
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 200


def test_metrics_are_those_of_the_best_model_on_the_test_split(test_folder, model, dataset):
    split = dataset.splits["test"]
    probabilities = model.predict(split.images, verbose=0)
    found = metrics(test_folder)
    assert found["examples"] == len(split) == 360
    assert found["accuracy"] == pytest.approx(accuracy_score(split.labels, probabilities.argmax(axis=1)))
    assert found["loss"] == pytest.approx(log_loss(split.labels, probabilities), rel=1e-4)
    assert found["accuracy_interval"][0] < found["accuracy"] < found["accuracy_interval"][1]
    assert (found["split"], found["tta"], found["dataset"]) == ("test", "none", "digits")


def test_the_tables_agree_with_each_other_and_with_the_split(test_folder, dataset):
    split = dataset.splits["test"]
    predictions = pd.read_csv(test_folder / "predictions.csv", dtype={"true": str, "predicted": str})
    names = np.array(dataset.class_names)
    assert predictions["index"].tolist() == list(range(len(split)))
    assert predictions["true"].tolist() == names[split.labels].tolist()
    correct = predictions["true"] == predictions["predicted"]
    assert (predictions["true_rank"] == 1).tolist() == correct.tolist()
    assert correct.mean() == pytest.approx(metrics(test_folder)["accuracy"])
    assert (predictions["true_rank"] <= 5).mean() == pytest.approx(metrics(test_folder)["top5_accuracy"])

    counts = pd.read_csv(test_folder / "confusion_matrix.csv", index_col="true")
    assert tuple(counts.columns) == dataset.class_names
    expected = confusion_matrix(predictions["true"], predictions["predicted"], labels=names)
    np.testing.assert_array_equal(counts.to_numpy(), expected)
    per_class = pd.read_csv(test_folder / "per_class.csv")
    assert per_class["support"].tolist() == counts.sum(axis=1).tolist()
    assert pd.read_csv(test_folder / "calibration.csv")["count"].sum() == len(split)


def test_validation_is_scored_as_in_training(run, model):
    assert cli.main(["eval", f"run={run}", "split=validation", "batch_size=17"]) == 0
    history = pd.read_csv(run / "metrics.csv")
    assert metrics(run / "eval" / "validation")["accuracy"] == pytest.approx(history["val_accuracy"].max())


def test_augmented_results_lie_beside_the_plain_ones(run, test_folder, model, dataset, capsys):
    before = metrics(test_folder)
    assert cli.main(["eval", f"run={run}", "tta=flip"]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "tta=flip: lowers" in line]
    validation = dataset.splits["validation"]
    views = (predict_probabilities(model, validation, 64, tta) for tta in ("none", "flip"))
    plain, flipped = (100 * accuracy_score(validation.labels, values.argmax(axis=1)) for values in views)
    assert plain > flipped  # digits have no mirror images
    (line,) = told
    assert f"the accuracy on 288 validation images from {plain:.2f} % to {flipped:.2f} %" in line
    assert {path.name for path in (run / "eval" / "test-flip").iterdir()} == FILES
    assert metrics(run / "eval" / "test-flip")["accuracy"] != before["accuracy"]
    assert metrics(test_folder) == before


def test_again_replaces_the_files_and_prints_figures_and_folder(run, test_folder, capsys):
    written = {path: path.read_bytes() for path in test_folder.iterdir()}
    (test_folder / "per_class.csv").write_text("old")
    capsys.readouterr()
    assert cli.main(["eval", f"run={run}"]) == 0
    assert {path: path.read_bytes() for path in test_folder.iterdir()} == written
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(run / "eval" / "test")
    (accuracy,) = [line for line in lines if line.split()[:1] == ["accuracy"]]
    assert f"{metrics(run / 'eval' / 'test')['accuracy']:.2%}" in accuracy


def test_a_model_that_a_training_replaces_meanwhile_is_not_taken_for_the_evaluated_one(
    small_run, tmp_path, monkeypatch
):
    run = shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("eval"))
    evaluated = digest(run / "model.keras")

    def predict_after_the_training_has_found_a_better_one(*given):
        with (run / "model.keras").open("ab") as file:
            file.write(b"\0")
        return predict_views(*given)

    monkeypatch.setattr("cnnlab.commands.eval.predict_views", predict_after_the_training_has_found_a_better_one)
    assert cli.main(["eval", f"run={run}"]) == 0
    assert metrics(run / "eval" / "test")["model_sha256"] == evaluated
    assert "of an earlier model than model.keras is now: evaluate again" in (run / "report.html").read_text()


def test_the_report_shows_the_evaluation(run, test_folder):
    assert f"{metrics(test_folder)['accuracy']:.2%}" in (run / "report.html").read_text()


class TestWithoutARun:
    def test_a_keras_file_is_evaluated_as_it_is(self, run, test_folder, tmp_path):
        assert self.evaluate(f"weights={run / 'model.keras'}", "input_shape=[8,8,1]", into=tmp_path / "evaluated") == 0
        assert {path.name for path in (tmp_path / "evaluated").iterdir()} == FILES
        assert metrics(tmp_path / "evaluated")["accuracy"] == metrics(test_folder)["accuracy"]

    def test_weights_fill_the_composed_model(self, run, model, dataset, tmp_path):
        weights = tmp_path / "network.weights.h5"
        take_apart(model)[1].save_weights(weights)
        filled = []

        def load(config: DictConfig, _: Path) -> None:
            filled.append(prepare(config, None, weights, None, None)[0])

        composed = ["model.padding=same", "input_shape=[8,8,1]", "trainer.precision=float32"]
        launch("eval", [f"weights={weights}", *composed, f"hydra.run.dir={tmp_path}"], task=load)
        images = dataset.splits["test"].images[:20]
        np.testing.assert_allclose(filled[0].predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5)

    def test_image_files_are_told_by_their_names_and_two_classes_apart_by_one_sigmoid_unit(self, save_image, tmp_path):
        pixels = keras.Input((4, 4, 1), dtype="uint8")
        logit = keras.layers.Rescaling(0.1, offset=-12)(keras.layers.GlobalAveragePooling2D()(pixels))
        keras.Model(pixels, keras.ops.sigmoid(logit)).save(tmp_path / "bright.keras")
        for name, level in (("dark/1.png", 20), ("dark/2.png", 230), ("light/3.png", 240), ("light/4.png", 250)):
            save_image(f"folder/{name}", np.full((9, 7, 3), level, np.uint8))
        folder = tmp_path / "folder"
        dataset = ["dataset=image_folder", f"dataset.root={folder}", "dataset.validation=none", "split=train"]
        model = [f"weights={tmp_path / 'bright.keras'}", "input_shape=[4,4,1]", "num_classes=2"]
        assert self.evaluate(*model, *dataset, into=tmp_path / "evaluated") == 0
        table = pd.read_csv(tmp_path / "evaluated" / "predictions.csv")
        assert table["file"].tolist() == sorted(str(path) for path in folder.rglob("*.png"))
        assert table["true"].tolist() == ["dark", "dark", "light", "light"]
        assert table["predicted"].tolist() == ["dark", "light", "light", "light"]
        found = metrics(tmp_path / "evaluated")
        assert found["accuracy"] == 0.75
        assert "top5_accuracy" not in found

    @staticmethod
    def evaluate(*arguments: str, into: Path) -> int:
        return cli.main(["eval", *arguments, f"hydra.run.dir={into}"])


class TestRefusals:
    def test_a_split_the_dataset_has_not(self, refused, run):
        line = refused(f"run={run}", "dataset.validation=none", "split=validation")
        assert line == "error: split=validation: digits has no such split, but train, test"

    def test_another_number_of_classes_than_a_nameless_model_has(self, refused, model, tmp_path):
        model.save(tmp_path / "nameless.keras")
        line = refused(f"weights={tmp_path / 'nameless.keras'}", "input_shape=[8,8,1]", "num_classes=12")
        assert "dataset=digits: has 12 classes, the model 10" in line

    def test_images_of_another_shape(self, refused, run):
        line = refused(f"run={run}", "input_shape=[9,9,1]")
        assert line.endswith("its images are [9, 9, 1], the model takes [8, 8, 1]; set input_shape=[8,8,1]")

    def test_a_run_without_a_model(self, refused, tmp_path, run):
        (tmp_path / "run.json").write_text(json.dumps({"format": FORMAT, "status": "running"}))
        (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
        line = refused(f"run={tmp_path}")
        assert "has no model.keras (status: interrupted: its process is gone)" in line
        assert "wait" not in line
        assert f"cnnlab train resume={tmp_path}" in line

    def test_a_diverged_run_without_a_model_is_started_anew(self, refused, tmp_path, run):
        record = {"format": FORMAT, "status": "diverged", "working_directory": str(Path.cwd())}
        record["command"] = "cnnlab train optimizer=sgd"
        (tmp_path / "run.json").write_text(json.dumps(record))
        (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
        line = refused(f"run={tmp_path}")
        assert line.endswith(
            "start anew with a smaller learning rate: cnnlab train optimizer=sgd optimizer.learning_rate=0.0001"
        )

    def test_a_damaged_model(self, refused, run, tmp_path):
        broken = tmp_path / "broken.keras"
        broken.write_bytes((run / "model.keras").read_bytes()[:1000])
        assert "broken.keras cannot be loaded" in refused(f"weights={broken}", "input_shape=[8,8,1]")

    @pytest.mark.parametrize("name", ["nowhere.keras", "nowhere.weights.h5"])
    def test_weights_that_are_not_there_before_data_are_read(self, refused, tmp_path, name):
        line = refused(f"weights={tmp_path / name}", "dataset=image_folder", "dataset.root=nowhere")
        assert line == f"error: weights={tmp_path / name}: no such file"

    def test_a_network_with_auxiliary_heads_alone(self, refused, tmp_path):
        pixels = keras.Input((8, 8, 1))
        x = keras.layers.Flatten()(pixels)
        keras.Model(pixels, [keras.layers.Dense(10)(x), keras.layers.Dense(10)(x)]).save(tmp_path / "heads.keras")
        line = refused(f"weights={tmp_path / 'heads.keras'}", "input_shape=[8,8,1]")
        assert (
            "heads.keras: has 2 outputs, as a network with auxiliary heads alone has; give a run's model.keras" in line
        )

    def test_a_model_that_gives_no_probabilities(self, refused, model, tmp_path):
        take_apart(model)[1].save(tmp_path / "network.keras")
        line = refused(f"weights={tmp_path / 'network.keras'}", "input_shape=[8,8,1]")
        assert "its outputs are no probabilities" in line
