"""The Python interface: the same bytes, the same tables and the same one line as the commands."""

import csv
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from PIL import Image

import cnnlab
from cnnlab import cli
from cnnlab.runs.run import Run

TINY = (
    *("input_shape=[8,8,1]", "model.padding=same", "trainer.batch_size=64", "trainer.precision=float32"),
    *("trainer.progress=none", "trainer.epochs=2", "augmentation=shift"),
)


@pytest.fixture
def run(small_run, tmp_path) -> "cnnlab.TrainedRun":
    return cnnlab.load_run(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two pictures and a file that is none."""
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a, b.png", (8, 8)), ("wide.jpg", (20, 9))):
        Image.fromarray(rng.integers(0, 255, size[::-1], np.uint8)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("none")
    return tmp_path / "photos"


def python(code: str) -> str:
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def without_addresses(text: bytes) -> bytes:
    """Keras numbers what layers share by where it lies in memory."""
    return re.sub(rb'"shared_object_id": \d+', b"", text)


def test_importing_it_and_asking_what_it_offers_loads_nothing_heavy():
    code = """
import sys, cnnlab
print(set(cnnlab.__all__) - set(dir(cnnlab)), callable(cnnlab.runs))
print([name for name in ("pandas", "hydra", "keras", "tensorflow", "numpy", "cnnlab.api") if name in sys.modules])
"""
    assert python(code).splitlines() == ["set() True", "[]"]


def test_opening_a_run_and_reading_its_tables_needs_no_tensorflow(small_run):
    code = f"""
import sys, cnnlab
run = cnnlab.load_run({str(small_run)!r})
print(len(run.metrics), run.config.dataset.name, run.status, "tensorflow" in sys.modules)
"""
    assert python(code).split() == ["2", "digits", "completed", "False"]


def test_what_it_does_not_offer_it_does_not_have():
    with pytest.raises(AttributeError, match=r"module 'cnnlab' has no attribute 'tarin'"):
        cnnlab.tarin  # noqa: B018


@pytest.mark.slow
def test_a_training_equals_the_commands_byte_for_byte(tmp_path, cnnlab_process, capsys):
    process = cnnlab_process("train", *TINY, f"hydra.run.dir={tmp_path}/command")
    assert process.wait() == 0, process.communicate()[1]
    cnnlab.train(*TINY, f"hydra.run.dir={tmp_path}/another")  # not the first network of this process
    run = cnnlab.train(*TINY, f"hydra.run.dir={tmp_path}/python")
    assert capsys.readouterr().out == ""
    ours, theirs = run.path, tmp_path / "command"
    for name in ("config.yaml", "steps.csv"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    clock = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(
        run.metrics.drop(columns=clock), pd.read_csv(theirs / "metrics.csv").drop(columns=clock), check_exact=True
    )
    for name in ("model.keras", "last.keras"):
        with ZipFile(ours / name) as one, ZipFile(theirs / name) as other:
            assert one.namelist() == other.namelist()
            for part in set(one.namelist()) - {"metadata.json"}:  # the date
                assert without_addresses(one.read(part)) == without_addresses(other.read(part)), part
    assert run.record["command"].startswith("cnnlab train 'input_shape=[8,8,1]' model.padding=same ")


def test_code_that_a_training_is_trusted_with_its_run_is_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "own_api.py").write_text("""
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def build(input_shape, num_classes, **options):
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.Dense(num_classes)(keras.layers.Flatten()(Twice()(images))))
""")
    trusted = ["cnnlab", "keras", "own_api"]
    own = ("targets=[cnnlab,keras,own_api]", "model._target_=own_api.build", "trainer.steps_per_epoch=1")
    run = cnnlab.train(*TINY, *own, "hydra.run.dir=run")
    assert run.model.output_shape == (None, 10)
    assert len(cnnlab.load_run("run", targets=trusted).predict(np.zeros((1, 8, 8, 1), np.uint8))) == 1
    with pytest.raises(cnnlab.UserError, match=r"if you trust own_api, add 'targets="):
        _ = cnnlab.load_run("run").model


def test_a_run_is_resumed(run):
    before, epochs = run.model, run.record["best"]["epoch"]
    assert run.model is before
    longer = cnnlab.train(f"resume={run.path}", "trainer.epochs=6")
    assert longer.path == run.path
    assert longer.metrics["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert longer.record["best"]["epoch"] > epochs
    pixels = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 1), np.uint8)
    assert run.record == longer.record  # opened before, and yet as it is now
    np.testing.assert_array_equal(run.model(pixels), longer.model(pixels))


def test_what_a_notebook_has_set_of_keras_stays_and_changes_nothing(run):
    import keras

    maps = run.explain([3], method="saliency")["maps"]
    keras.config.set_dtype_policy("mixed_bfloat16")
    np.testing.assert_array_equal(run.explain([3], method="saliency")["maps"], maps)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    keras.config.set_dtype_policy("float32")
    low = (*TINY, "trainer.precision=bfloat16", "trainer.epochs=1", "trainer.steps_per_epoch=1")
    cnnlab.train(*low, f"hydra.run.dir={run.path.parent}/bfloat16")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "arguments",
    [["model.widht=3"], ["seed=-1"], ["modle=x"], ["experiment=nothing"], ["trainer.precision=bf16"]],
)
def test_a_mistake_is_the_line_that_the_command_prints(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *arguments]) == 2
    with pytest.raises(cnnlab.UserError) as error:
        cnnlab.train(*arguments)
    assert capsys.readouterr().err == f"error: {error.value}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", ["seed=0,1", "experiment=sweep_optimizers"])
def test_a_sweep_is_left_to_the_command_line(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(cnnlab.UserError, match=f"^{argument}: is a sweep; give it to the command line"):
        cnnlab.train(argument)
    with pytest.raises(cnnlab.UserError, match=r"^-m: flags belong to the command line; give key=value"):
        cnnlab.train("-m", "seed=0,1")
    assert list(tmp_path.iterdir()) == []


def test_files_are_classified_as_the_command_does(run, photos):
    assert cli.main(["predict", f"run={run.path}", f"images={photos}"]) == 0
    with (run.path / "predict" / "predictions-1.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = run.predict(photos)
    assert list(table.columns) == list(rows[0])
    assert [Path(file).name for file in table["file"]] == ["a, b.png", "notes.txt", "wide.jpg"]
    assert table["class"].fillna("").tolist() == [row["class"] for row in rows]
    assert [f"{value:.6g}" for value in table["probability_3"].dropna()] == [
        row["probability_3"] for row in rows if row["class"]
    ]
    listed = run.predict([photos / "wide.jpg", str(photos / "a, b.png")], top=3)
    assert listed["file"].tolist() == [str(photos / "wide.jpg"), str(photos / "a, b.png")]
    assert listed["probability"].tolist() == table["probability"].tolist()[::-2]


def test_pixels_are_classified_as_they_are(run):
    pixels = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 1), np.uint8)
    table = run.predict(pixels, top=10)
    expected = np.asarray(run.model(pixels))
    assert "file" not in table
    assert table["class"].tolist() == [str(label) for label in expected.argmax(axis=1)]
    np.testing.assert_allclose(table["probability"], expected.max(axis=1), rtol=1e-5)
    assert len(run.predict(pixels[0])) == 1


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((2, 8, 8, 1)), "pixels: images are float64 of shape (2, 8, 8, 1); expected uint8"),
        ([], "images=[]: give a file at least"),
        (["nowhere.png"], "images=nowhere.png: no such file"),
        ("nowhere/*.png", "images=nowhere/*.png: no such file, and no file matches"),
        ([np.zeros((8, 8, 1), np.uint8)] * 2, "images: ndarray is no name of a file; pixels are one NumPy array"),
        (["."], "images=.: is a folder; give it alone, or its files"),
        (None, "images: NoneType is no name of a file; pixels are one NumPy array"),
        (Image.new("L", (8, 8)), "images: Image is no name of a file; pixels are one NumPy array"),
        (np.zeros((8, 8), np.uint8), "pixels of shape (8, 8): a grey image has one channel, images[..., np.newaxis]"),
        (
            np.zeros((2, 8, 8), np.uint8),
            "pixels: images are uint8 of shape (2, 8, 8); expected uint8 (0..255) of shape (N, height, width, 1 or 3); "
            "of grey images: x[..., np.newaxis]",
        ),
        (
            np.zeros((3, 8, 8), np.uint8),
            "pixels: images are uint8 of shape (3, 8, 8); expected uint8 (0..255) of shape (N, height, width, 1 or 3); "
            "of grey images: x[..., np.newaxis]; of one colour image: np.moveaxis(x, 0, -1)[np.newaxis]",
        ),
        (
            np.zeros((8, 8, 4), np.uint8),
            "pixels: images are uint8 of shape (1, 8, 8, 4); expected uint8 (0..255) of shape "
            "(N, height, width, 1 or 3); drop the alpha channel: x[..., :3]",
        ),
    ],
)
def test_images_that_are_none_are_told(run, images, told):
    with pytest.raises(cnnlab.UserError) as error:
        run.predict(images)
    assert str(error.value).startswith(told)


def test_a_hidden_file_that_is_listed_has_its_row(run, photos):
    (photos / "wide.jpg").rename(photos / ".wide.jpg")
    assert run.predict([photos / ".wide.jpg"])["status"].tolist() == ["ok"]


def test_an_evaluation_is_the_commands(run):
    metrics = run.evaluate("test")
    assert metrics["split"] == "test"
    assert metrics["examples"] == 360
    assert (run.path / "eval" / "test" / "metrics.json").is_file()
    with pytest.raises(cnnlab.UserError, match="split=tset: must be one of train, validation, test"):
        run.evaluate("tset")


def test_an_explanation_is_the_methods_arrays_and_figure_and_leaves_the_run_alone(run, photos):
    before = sorted(run.path.rglob("*"))
    explanation = run.explain([3, 7], method="saliency", target=2)
    assert cli.main(["visualize", f"run={run.path}", "method=saliency", "method.images=[3,7]", "method.target=2"]) == 0
    with np.load(run.path / "visualize" / "saliency" / "saliency.npz") as drawn:
        assert set(explanation) == set(drawn.files)
        np.testing.assert_array_equal(explanation["maps"], drawn["maps"])
    assert explanation._repr_png_() == (run.path / "visualize" / "saliency" / "saliency.png").read_bytes()
    shutil.rmtree(run.path / "visualize")
    assert run.explain([photos / "wide.jpg"], method="saliency")["maps"].shape == (1, 8, 8)
    assert run.explain(np.zeros((3, 8, 8, 1), np.uint8), method="grad_cam")["classes"].shape == (3,)
    assert sorted(run.path.rglob("*")) == before
    for positions in ((3, 7), np.array([3, 7])):
        np.testing.assert_array_equal(run.explain(positions, method="saliency", target=2)["maps"], explanation["maps"])
    assert len(run.explain(np.int64(2), method="saliency")["maps"]) == 2
    assert set(run.explain(method="kernels", layers=["conv1"])) == {"conv1"}
    assert set(run.explain(method="kernels", layers=np.array(["conv2"]))) == {"conv2"}
    with pytest.raises(cnnlab.UserError, match=r"^method=all: is for cnnlab visualize"):
        run.explain(method="all")
    with pytest.raises(cnnlab.UserError, match=r"wide\.jpg is no position in the split; give positions alone, or file"):
        run.explain([3, photos / "wide.jpg"], method="saliency")
    with pytest.raises(cnnlab.UserError, match=r"^method='?grad_camm'?: no such option; did you mean grad_cam\?"):
        run.explain(method="grad_camm")


def test_what_is_no_text_is_refused_by_name():
    with pytest.raises(cnnlab.UserError, match=r"^3: give texts as on the command line, such as "):
        cnnlab.train("trainer.epochs=1", 3)


def test_a_notebook_may_train_in_a_thread_of_its_own(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(cnnlab.train, *TINY, "trainer.epochs=1", f"hydra.run.dir={tmp_path / 'run'}").result()
    assert run.status == "completed"


def test_an_export_leaves_the_gpus_to_the_notebook(run, monkeypatch):
    import tensorflow as tf

    gpus, hidden = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")], []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *_: None)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: hidden.append(given))
    (report,) = run.export("saved_model")
    assert report["largest_difference"] < 1e-5
    assert hidden == []


def test_figures_are_found_by_their_names(run):
    shutil.copytree(run.path / "plots", run.path / ".123-new-plots")  # as a command that is killed leaves it
    assert run.figure("curves").png == (run.path / "plots" / "curves.png").read_bytes()
    with pytest.raises(cnnlab.UserError, match=r"^figure=curve: .* has no such figure; did you mean curves\?"):
        run.figure("curve")
    for split in ("test", "validation"):
        run.evaluate(split)
    assert run.figure("eval/test/calibration").png.startswith(b"\x89PNG")
    with pytest.raises(cnnlab.UserError, match="several figures are called so; figures: eval/test/calibration, eval/v"):
        run.figure("calibration")


def test_a_notebook_shows_a_run_and_its_curves(run):
    shown = run._repr_html_()
    assert "completed" in shown
    assert "val_accuracy" in shown
    assert 'src="data:image/png;base64,' in shown
    assert repr(run).startswith(f"<run {run.path}: completed, best val_accuracy")


def test_a_run_that_another_process_goes_on_with_is_read_again(run):
    whole = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(whole | {"status": "interrupted"}))
    opened = cnnlab.load_run(run.path)
    assert opened.status == "interrupted"
    (run.path / "run.json").write_text(json.dumps(whole))
    assert opened.status == "completed"


def test_a_notebook_shows_a_run_that_nothing_validated(tmp_path):
    labels = {"name": "all", "model": {"name": "net"}, "dataset": {"name": "photos"}}
    run = Run.create(tmp_path / "run", OmegaConf.create(labels))
    run.begin()
    run.update(best={"step": 5, "epoch": 1, "monitor": None, "value": None})  # the last model, without a validation
    run.finish("completed")
    opened = cnnlab.load_run(run.path)
    assert repr(opened) == f"<run {run.path}: completed>"
    assert "completed" in opened._repr_html_()


def test_all_runs_below_a_folder_are_a_table_with_their_paths(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "deep" / "down" / "other")
    table = cnnlab.runs(f"{tmp_path}/**")
    assert sorted(table["path"]) == [str(tmp_path / "deep" / "down" / "other"), str(run.path)]
    assert {"configuration", "seed", "status", "best_val_accuracy", "seconds"} <= set(table.columns)
    assert cnnlab.runs(run.path)["path"].tolist() == [str(run.path)]
    with pytest.raises(cnnlab.UserError, match="no such folder"):
        cnnlab.runs(f"{tmp_path}/nowhere")


def test_the_package_of_run_directories_is_still_one():
    from cnnlab.runs.run import Run

    assert sys.modules["cnnlab.runs"] is cnnlab.runs
    assert Run.__module__ == "cnnlab.runs.run"
