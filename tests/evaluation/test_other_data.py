"""Evaluating a run on other data: classes by name, results that do not overwrite each other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

from cnnlab import cli
from cnnlab.data.fingerprint import fingerprints
from cnnlab.data.load import load_dataset
from cnnlab.evaluation.load_model import run_classes
from cnnlab.models.keras_file import read_class_names, save_model
from cnnlab.runs.run import Run

COLOURS = {"a": (200, 200, 0), "b": (200, 0, 0), "c": (0, 200, 0), "d": (0, 0, 200)}


def pictures(name: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Uint8 (count, 8, 8, 3) of about one colour, which a class stands for."""
    return np.clip(np.array(COLOURS[name]) + rng.integers(-40, 40, (count, 8, 8, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def save_folders() -> Callable[..., Path]:
    """`save_folders(path, names, count)` fills a folder per class; a name "d:a" is class d in a folder called a."""
    rng = np.random.default_rng(0)

    def save(path: Path, names: str, count: int = 3) -> Path:
        for name in names.split():
            what, _, called = name.partition(":")
            folder = path / (called or what)
            folder.mkdir(parents=True)
            for number, image in enumerate(pictures(what, count, rng)):
                Image.fromarray(image).save(folder / f"{number}.png")
        return path

    return save


@pytest.fixture
def save_arrays(tmp_path) -> Callable[..., Path]:
    """`save_arrays(order, **extra)` writes tmp_path/set.npz with a test split whose label i is the i-th class named."""
    rng = np.random.default_rng(1)

    def save(order: str, **extra: object) -> Path:
        labels = np.arange(4 * len(order)) % len(order)
        images = np.stack([pictures(order[label], 1, rng)[0] for label in labels])
        np.savez(tmp_path / "set.npz", x_test=images, y_test=labels, **extra)
        return tmp_path / "set.npz"

    return save


@pytest.fixture(scope="module")
def photos(save_folders, tmp_path_factory) -> Path:
    return save_folders(tmp_path_factory.mktemp("photos") / "photos", "b c d", 40)


@pytest.fixture(scope="module")
def trained(train, photos) -> Path:
    """A run that tells the colours of b, c and d apart without a mistake; tests may add evaluations to it."""
    return train(
        *("dataset=image_folder", f"dataset.root={photos}", "dataset.num_classes=3", "dataset.validation=0.2"),
        *("model=mnist_cnn", "input_shape=[8,8,3]", "augmentation=none", "trainer.batch_size=16", "trainer.epochs=5"),
    )


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the run whose evaluations are the test's alone."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def evaluate(capsys) -> Callable[..., tuple[Path, dict, str]]:
    """`evaluate(*arguments)`: the folder of the results, metrics.json, and what was told."""

    def call(*arguments: object) -> tuple[Path, dict, str]:
        capsys.readouterr()
        assert cli.main(["eval", *map(str, arguments)]) == 0
        captured = capsys.readouterr()
        folder = Path(captured.out.splitlines()[-1])
        return folder, json.loads((folder / "metrics.json").read_text()), captured.err

    return call


def refusal(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert cli.main([*map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1]


class TestByName:
    def test_a_renamed_class_is_unknown_and_the_others_stay_right(self, run, save_folders, tmp_path, evaluate):
        renamed = save_folders(tmp_path / "renamed", "b c d:a")
        folder, found, told = evaluate(f"run={run}", f"data={renamed}")
        assert (found["accuracy"], found["examples"], found["left_out"]) == (1, 6, 3)
        assert "3 of the 9 images of split test are left out, of classes that the model does not know: a (3)" in told
        table = pd.read_csv(folder / "predictions.csv")
        assert table["index"].tolist() == list(range(3, 9))  # where they are in the data, of which the first are a
        assert table["true"].tolist() == ["b"] * 3 + ["c"] * 3

    def test_data_of_one_class_are_not_shifted(self, run, save_folders, tmp_path, evaluate):
        folder, found, told = evaluate(f"run={run}", f"data={save_folders(tmp_path / 'one', 'd')}")
        assert found["accuracy"] == found["macro_recall"] == found["macro_precision"] == found["macro_f1"] == 1
        assert (found["recall_classes"], found["classes"]) == (1, 3)
        assert "averages over 1 of 3 classes: no image of b, c" in told
        shares = pd.read_csv(folder / "per_class.csv").set_index("class")[["precision", "recall", "f1"]]
        assert shares.isna().all(axis=1).to_dict() == {"b": True, "c": True, "d": False}
        page = (run / "report.html").read_text()
        assert "recall, mean of 1 of 3 classes" in page
        assert "–" in page

    def test_arrays_without_names_go_by_position_which_is_told(self, run, save_arrays, evaluate):
        _, found, told = evaluate(f"run={run}", f"data={save_arrays('bcd')}")
        assert found["accuracy"] == 1
        assert "set: has no class names, so labels count the model's classes: 0 is b, 1 is c, 2 is d" in told

    def test_folders_called_by_numbers_are_the_labels_of_arrays_without_names(self, train, tmp_path, evaluate):
        labels = np.arange(12 * 20) % 12
        images = np.zeros((len(labels), 12, 8, 1), np.uint8)
        images[np.arange(len(labels)), labels] = 255  # class i is a white line in row i
        np.savez(tmp_path / "lines.npz", x_train=images, y_train=labels)
        for label in range(12):
            (tmp_path / "lines" / str(label)).mkdir(parents=True)
            Image.fromarray(images[label, ..., 0]).save(tmp_path / "lines" / str(label) / "line.png")
        trained = train(
            *("dataset=arrays", f"dataset.root={tmp_path / 'lines.npz'}", "dataset.image_shape=[12,8,1]"),
            *(
                "model=mnist_cnn",
                "model.padding=same",
                "augmentation=none",
                "trainer.batch_size=16",
                "trainer.epochs=8",
            ),
        )
        _, found, _ = evaluate(f"run={trained}", f"data={tmp_path / 'lines'}")
        assert found["accuracy"] == 1

    def test_nothing_that_the_model_knows_is_refused(self, run, save_folders, tmp_path, capsys):
        line = refusal(capsys, "eval", f"run={run}", f"data={save_folders(tmp_path / 'odd', 'd:x b:y')}")
        assert line == "error: odd: the model knows none of the classes of split test: x (3), y (3); it knows b, c, d"

    def test_a_model_file_brings_its_own_names_by_which_arrays_go(self, run, save_arrays, tmp_path, evaluate):
        into = f"hydra.run.dir={tmp_path / 'evaluated'}"
        data = save_arrays("dbc", class_names=["d", "b", "c"])
        _, found, told = evaluate(f"weights={run / 'model.keras'}", f"data={data}", into)
        assert found["accuracy"] == 1
        assert "set: labels are mapped by name: its classes are d, b, c, the model's b, c, d" in told

    def test_a_model_file_without_names_goes_by_position_which_is_told(self, run, save_arrays, tmp_path, evaluate):
        keras.models.load_model(run / "model.keras").save(tmp_path / "foreign.keras")
        into = f"hydra.run.dir={tmp_path / 'evaluated'}"
        data = save_arrays("dbc", class_names=["d", "b", "c"])
        _, found, told = evaluate(f"weights={tmp_path / 'foreign.keras'}", f"data={data}", into)
        assert found["accuracy"] == 0
        assert "has no class names, so its outputs count the classes of set: 0 is d, 1 is b, 2 is c" in told

    def test_results_of_a_model_file_are_not_written_over_others(self, run, save_arrays, tmp_path, capsys):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "metrics.json").write_text("mine")
        data = f"data={save_arrays('bcd')}"
        line = refusal(capsys, "eval", f"weights={run / 'model.keras'}", data, f"hydra.run.dir={tmp_path / 'mine'}")
        assert line == (
            f"error: hydra.run.dir={tmp_path / 'mine'}: is not empty, and results would be written over; choose another"
        )
        assert (tmp_path / "mine" / "metrics.json").read_text() == "mine"

    def test_the_models_own_names_count_more_than_the_record(self, run, save_folders, tmp_path, capsys):
        record = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(record | {"class_names": ["a", "b", "c"]}))
        photo = save_folders(tmp_path / "new", "d") / "d" / "0.png"
        assert cli.main(["predict", f"run={run}", f"images={photo}"]) == 0
        captured = capsys.readouterr()
        assert pd.read_csv(captured.out.splitlines()[-1])["class"].tolist() == ["d"]
        assert "run.json names other classes than its model" in captured.err

    def test_figures_of_other_data_name_classes_rightly(self, run, save_folders, tmp_path, capsys):
        (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("validation: 0.2", "validation: none")
        )
        root = save_folders(tmp_path / "fewer", "d c")
        arguments = [
            f"dataset.root={root}",
            "method=saliency",
            "method.target=label",
            "method.split=train",
            "method.images=2",
        ]
        assert cli.main(["visualize", f"run={run}", *arguments]) == 0
        with np.load(run / "visualize" / "saliency" / "saliency.npz") as archive:
            assert set(archive["labels"]) <= {1, 2}
            assert (archive["probabilities"].argmax(axis=1) == archive["labels"]).all()


class TestWhere:
    def test_results_of_other_data_lie_beside_the_runs_own(self, run, save_folders, tmp_path, photos, evaluate):
        own, before, told = evaluate(f"run={run}", "split=validation")
        assert "no longer the images" not in told
        one = save_folders(tmp_path / "1" / "new", "b c d", 5)
        other = save_folders(tmp_path / "2" / "new", "b c d:a", 10)
        first = evaluate(f"run={run}", f"dataset.root={one}", "split=validation")
        second = evaluate(f"run={run}", f"dataset.root={other}", "split=validation")
        again = evaluate(f"run={run}", f"dataset.root={one}", "split=validation")
        names = ["validation", "validation-new", "validation-new-2", "validation-new"]
        assert [folder.name for folder in (own, first[0], second[0], again[0])] == names
        assert json.loads((own / "metrics.json").read_text()) == before
        assert [found["root"] for found in (before, first[1], second[1])] == [str(photos), str(one), str(other)]
        assert (first[1]["dataset"], first[1]["split"]) == ("photos", "validation")
        counts = [(found["accuracy"], found["examples"], found["left_out"]) for found in (first[1], second[1])]
        assert counts == [(1, 3, 0), (1, 4, 2)]

    def test_a_split_that_is_drawn_anew_is_told_and_kept_apart(self, run, evaluate):
        folder, found, told = evaluate(f"run={run}", "split=validation", "dataset.validation=0.5")
        assert folder.name == "validation-photos"
        assert found["changed"] == {"dataset.validation": 0.5}
        assert "is drawn anew (dataset.validation=0.5) and may hold images that the run was trained on" in told

    def test_split_folders_need_no_training_split(self, run, save_folders, tmp_path, capsys, evaluate):
        save_folders(tmp_path / "new, data=1" / "test", "b c")
        save_folders(tmp_path / "new, data=1" / "validation", "d", 5)
        folder, found, _ = evaluate(f"run={run}", f"data={tmp_path}/new, data=1", "split=validation")
        assert (folder.name, found["examples"], found["accuracy"]) == ("validation-new, data=1", 5, 1)
        assert found["root"] == f"{tmp_path}/new, data=1"
        line = refusal(capsys, "eval", f"run={run}", f"data={tmp_path}/new, data=1", "split=train")
        assert line.endswith("has no such split, but validation, test")

    @pytest.mark.parametrize("name", ["nowhere", "empty"])
    def test_data_that_are_none_are_refused(self, run, tmp_path, capsys, name):
        (tmp_path / "empty").mkdir()
        line = refusal(capsys, "eval", f"run={run}", f"data={tmp_path / name}")
        assert f"{name}: " in line

    def test_data_and_a_dataset_exclude_each_other(self, run, tmp_path, capsys):
        line = refusal(capsys, "eval", f"run={run}", f"data={tmp_path}", "dataset.root=x")
        assert "dataset.root: data=" in line


def test_a_run_goes_on_with_its_own_classes_only(run, save_folders, tmp_path, capsys):
    renamed = save_folders(tmp_path / "renamed", "b c d:a", 40)
    before = (run / "run.json").read_bytes(), (run / "model.keras").read_bytes()
    line = refusal(capsys, "train", f"resume={run}", f"dataset.root={renamed}", "trainer.epochs=6")
    assert "photos no longer has the classes that the run began with (gone: d; new: a)" in line
    assert before == ((run / "run.json").read_bytes(), (run / "model.keras").read_bytes())


class TestImagesThatChanged:
    """Held-out splits are drawn from what is there: images that come or go change which are drawn."""

    @pytest.fixture
    def grown(self, run, photos) -> Path:
        """A copy of the run whose folder got four more images of a class."""
        folder = run.parent / "grown"
        shutil.copytree(run, folder, dirs_exist_ok=True)
        root = shutil.copytree(photos, folder / "photos", dirs_exist_ok=True)
        for number in range(4):
            shutil.copy(root / "b" / f"{number}.png", root / "b" / f"new-{number}.png")
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(text.replace(f"root: {photos}", f"root: {root}"))
        return folder

    def test_eval_says_that_the_split_is_another(self, grown, evaluate):
        _, _, told = evaluate(f"run={grown}", "split=validation")
        assert "split=validation: no longer the images of the training (then 24, now 25); it is drawn anew" in told

    def test_a_run_goes_on_without_them(self, grown, capsys):
        assert cli.main(["train", f"resume={grown}", "trainer.epochs=6"]) == 0
        assert "4 files that are new since the run began are left out" in capsys.readouterr().err
        assert json.loads((grown / "run.json").read_text())["data"]["train"]["images"] == 96

    def test_a_folder_that_has_moved_is_the_same(self, run, photos, tmp_path):
        dataset, moved = (
            load_dataset(OmegaConf.merge(Run.open(run).config.dataset, {"root": str(root)}), 0)
            for root in (photos, shutil.copytree(photos, tmp_path / "moved"))
        )
        assert fingerprints(dataset) == fingerprints(moved)


def test_names_need_not_be_there_to_train_on_arrays(train, tmp_path, capsys):
    rng = np.random.default_rng(2)
    labels = np.arange(64) % 2
    images = np.concatenate([pictures("bc"[label], 1, rng) for label in labels])
    np.savez(tmp_path / "train.npz", x_train=images, y_train=labels)
    dataset = ("dataset=arrays", f"dataset.root={tmp_path / 'train.npz'}", "dataset.num_classes=2")
    run = train(*dataset, "input_shape=[8,8,3]", "dataset.validation=0.25", "trainer.batch_size=16", "trainer.steps=2")
    assert read_class_names(run / "model.keras") is None
    assert json.loads((run / "run.json").read_text())["class_names"] is None
    Image.fromarray(images[0]).save(tmp_path / "0.png")
    assert cli.main(["predict", f"run={run}", f"images={tmp_path / '0.png'}"]) == 0
    assert pd.read_csv(capsys.readouterr().out.splitlines()[-1])["class"].astype(str).iloc[0] in "01"
    save_model(keras.models.load_model(run / "model.keras"), run / "model.keras", ("b", "c"))
    assert run_classes(Run.open(run)) == ("b", "c")
