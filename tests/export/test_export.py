"""`cnnlab export`: what it writes, prints and refuses, and what the files compute."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import cnnlab
from cnnlab import cli
from cnnlab.config import extras
from cnnlab.export.export import export_format

DOCS = Path(cnnlab.__file__).parents[1] / "docs" / "export.md"
FILES = {
    "saved_model": "export/saved_model/1",
    "onnx": "export/onnx/model.float32.onnx",
    "litert": "export/litert/model.float32.tflite",
}
NORMALIZED = ["model.preprocessing.normalization=true"]


@pytest.fixture(scope="module")
def exported_run(train, tmp_path_factory) -> Path:
    """A run trained in bfloat16, its images normalised, exported in every format: both are traps."""
    trained = train("trainer.precision=bfloat16", *NORMALIZED, "trainer.epochs=4", "optimizer.learning_rate=0.005")
    assert cli.main(["export", f"run={trained}", "format=[saved_model,onnx,litert]"]) == 0
    assert cli.main(["export", f"run={trained}", "format=[onnx,litert]", "precision=int8"]) == 0
    return trained


@pytest.fixture(scope="module")
def evaluated_run(exported_run) -> Path:
    """The same run, evaluated by Keras and by exported files."""
    for backend in ("null", "onnx/int8", "litert", "saved_model"):
        assert cli.main(["eval", f"run={exported_run}", f"backend={backend}"]) == 0
    return exported_run


@pytest.fixture
def copied(exported_run, tmp_path) -> Path:
    """The same run, to be changed."""
    return shutil.copytree(exported_run, tmp_path / "run")


def report(run: Path) -> dict:
    return json.loads((run / "export" / "report.json").read_text())


def refusal(capsys, *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("format", FILES)
def test_a_file_computes_what_keras_does_in_float32(exported_run, format):
    entry = report(exported_run)[f"{format}/float32"]
    assert (exported_run / FILES[format]).exists()
    assert (entry["file"], entry["split"], entry["images"]) == (FILES[format], "validation", 256)
    assert entry["largest_difference"] <= 1e-5 < entry["tolerance"]
    assert entry["equal_predictions"] == 1
    assert all(time > 0 for times in entry["milliseconds"].values() for time in times.values())


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_int8_is_a_smaller_file_that_takes_most_images_for_the_same(exported_run, format):
    entries = report(exported_run)
    small, large = (entries[f"{format}/{precision}"] for precision in ("int8", "float32"))
    assert small["bytes"] < 0.36 * large["bytes"]  # of so small a network much of the file is the graph
    assert 0 < small["mean_difference"] < 0.05
    assert small["equal_predictions"] > 0.95


def test_a_file_has_one_input_one_output_any_batch_size_and_the_names_of_the_classes(exported_run):
    session = onnxruntime.InferenceSession(exported_run / FILES["onnx"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", 8, 8, 1])
    assert (probabilities.name, probabilities.type) == ("probabilities", "tensor(float)")
    assert probabilities.shape == ["batch", 10]
    names = [
        session.get_modelmeta().custom_metadata_map["class_names"],
        ZipFile(exported_run / FILES["litert"]).read("class_names.json"),
        (exported_run / FILES["saved_model"] / "assets.extra" / "class_names.json").read_text(),
    ]
    assert [json.loads(text) for text in names] == [[str(digit) for digit in range(10)]] * 3
    pixels = np.zeros((3, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(session.run(None, {"images": pixels})[0].sum(axis=1), 1, rtol=1e-5)


def run_program(run: Path, folder: Path, number: int) -> str:
    """The last word of one of the documentation's programs, which looks at photo.png in `folder`."""
    program = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[number].replace("RUN/", f"{run}/")
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()[-1]


@pytest.mark.parametrize("number", range(3))
def test_the_programs_of_the_documentation_run(exported_run, tmp_path, number):
    digits = load_digits()
    Image.fromarray((digits.images[0] * 255 / 16).astype(np.uint8)).save(tmp_path / "photo.png")
    assert run_program(exported_run, tmp_path, number) == str(digits.target[0])


def test_they_tell_two_classes_apart_by_one_sigmoid_unit(train, tmp_path):
    for name, grey in (("dark", 20), ("light", 230)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(np.full((8, 8), grey + number % 20, np.uint8)).save(
                tmp_path / "photos" / name / f"{number}.png"
            )
    data = ("dataset=image_folder", f"dataset.root={tmp_path}/photos", "model=mnist_cnn", "trainer.batch_size=16")
    run = train(*data, "model.head=sigmoid", "trainer.epochs=8", "optimizer.learning_rate=0.005")
    assert cli.main(["export", f"run={run}", "format=onnx"]) == 0
    for name in ("light", "dark"):
        shutil.copy(tmp_path / "photos" / name / "0.png", tmp_path / "photo.png")
        assert run_program(run, tmp_path, 0) == name


@pytest.mark.slow
def test_paths_go_to_stdout_and_a_table_without_chatter_to_stderr(small_run, tmp_path, cnnlab_process):
    run = shutil.copytree(small_run, tmp_path / "run")
    process = cnnlab_process("export", f"run={run}", "format=[onnx,litert]", "precision=int8", "check_images=40")
    out, err = process.communicate()
    assert out.splitlines() == [f"{run}/export/onnx/model.int8.onnx", f"{run}/export/litert/model.int8.tflite"]
    lines = [line for line in err.splitlines() if line.strip(" ─")]
    told = [line for line in lines if re.match(r"\d\d:\d\d:\d\d (digits, |exporting )", line)]
    heads, *rows = [line for line in lines if line not in told]
    assert heads.split()[:3] == ["export", "size", "largest"]
    assert [row.split()[:2] for row in rows] == [["onnx", "int8"], ["litert", "int8"]]


@pytest.mark.slow
def test_a_killed_export_leaves_nothing_half_written(small_run, tmp_path, cnnlab_process):
    run = shutil.copytree(small_run, tmp_path / "run")
    process = cnnlab_process("export", f"run={run}", "format=onnx")
    while not (started := [*run.glob("export/**/.tmp-*")]) and process.poll() is None:
        time.sleep(0.005)
    process.terminate()
    assert process.communicate()[1].splitlines()[-1] == "interrupted: SIGTERM"
    assert process.returncode == 128 + signal.SIGTERM
    assert started
    assert not [*run.glob("export/**/.tmp-*")]


def test_the_page_of_the_run_shows_them(exported_run):
    page = (exported_run / "report.html").read_text()
    assert "Exported files" in page
    assert "<td>litert int8</td>" in page


def test_an_exported_file_is_evaluated_like_the_model(evaluated_run):
    folders = [evaluated_run / "eval" / name for name in ("test", "test-onnx-int8", "test-litert", "test-saved_model")]
    assert {*map(frozenset, ([path.name for path in folder.iterdir()] for folder in folders))} == {
        frozenset(path.name for path in folders[0].iterdir())
    }
    predicted = [pd.read_csv(folder / "predictions.csv") for folder in folders]
    for table in predicted[2:]:
        assert (table["predicted"] == predicted[0]["predicted"]).mean() > 0.98  # Keras computes in bfloat16
        np.testing.assert_allclose(table["confidence"], predicted[0]["confidence"], atol=0.05)
    assert (predicted[2]["predicted"] == predicted[3]["predicted"]).all()
    assert not predicted[1]["confidence"].equals(predicted[0]["confidence"])


def test_compare_says_whether_the_file_is_as_good(evaluated_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", f"runs={evaluated_run}"]) == 0
    told = capsys.readouterr()
    assert re.search(
        r"onnx/int8 (lost|gained) \d\.\d\d points of accuracy on the 360 images of the test split", told.err
    )
    tables = [pd.read_csv(evaluated_run / "eval" / name / "predictions.csv") for name in ("test-onnx-int8", "test")]
    right = [table["predicted"] == table["true"] for table in tables]
    disagreements = pd.read_csv(Path(told.out.strip()) / "disagreements-test-onnx-int8.csv")
    assert len(disagreements) == (right[0] != right[1]).sum()


def test_a_sigmoid_stays_one_output(train, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = (rng.integers(0, 100, (80, 8, 8, 1)) + 100 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(tmp_path / "two.npz", x_train=images, y_train=labels, x_validation=images, y_validation=labels)
    data = ["dataset=arrays", f"dataset.root={tmp_path}/two.npz", "num_classes=2", "model.head=sigmoid"]
    run = train(*data, "augmentation=none")
    (found,) = cnnlab.load_run(run).export("onnx")
    assert found["outputs"] == 1
    session = onnxruntime.InferenceSession(run / found["file"])
    expected = keras.models.load_model(run / "model.keras").predict(images, verbose=0)
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-5)


def test_python_exports_by_the_same_function(copied):
    (found,) = cnnlab.load_run(copied).export("onnx", "float16", check_images=30)
    assert (copied / found["file"]).name == "model.float16.onnx"
    assert found["images"] == 30
    assert found["largest_difference"] <= 0.02
    assert found["bytes"] < 0.6 * report(copied)["onnx/float32"]["bytes"]


def test_more_than_the_tolerance_keeps_the_file_out(copied, capsys):
    before = (copied / "export" / "onnx" / "model.int8.onnx").read_bytes()
    shutil.rmtree(copied / "export" / "litert")
    given = ("export", f"run={copied}", "precision=int8", "tolerance=1e-9", "check_images=30")
    assert "litert/int8: its probabilities differ from Keras's by" in refusal(capsys, *given, "format=litert")
    assert not list((copied / "export" / "litert").iterdir())
    refusal(capsys, *given, "format=onnx")
    assert (copied / "export" / "onnx" / "model.int8.onnx").read_bytes() == before


def test_a_file_that_was_changed_is_replaced_and_told_and_one_that_was_not_is_replaced_alone(copied, capsys):
    file = copied / FILES["onnx"]
    file.write_bytes(b"something else")
    assert cli.main(["export", f"run={copied}", "format=onnx", "check_images=10"]) == 0
    assert (
        f"{file}: takes the place of an export of another model, or of a file that was changed"
        in capsys.readouterr().err
    )
    assert json.loads((copied / "export" / "report.json").read_text())["onnx/float32"]["bytes"] == file.stat().st_size


def test_a_damaged_file_is_not_evaluated(copied, capsys):
    file = copied / FILES["onnx"]
    file.write_bytes(file.read_bytes()[:-1000])
    assert f"backend=onnx: {file} is damaged or was changed since" in refusal(
        capsys, "eval", f"run={copied}", "backend=onnx"
    )


def test_a_model_that_a_training_replaces_meanwhile_is_not_taken_for_the_exported_one(
    small_run, tmp_path, monkeypatch, capsys
):
    run = shutil.copytree(small_run, tmp_path / "run")

    def export_after_the_training_has_found_a_better_one(*given):
        with (run / "model.keras").open("ab") as file:
            file.write(b"\0")
        return export_format(*given)

    monkeypatch.setattr("cnnlab.commands.export.export_format", export_after_the_training_has_found_a_better_one)
    assert cli.main(["export", f"run={run}", "format=saved_model", "check_images=10"]) == 0
    assert "is of another model than" in refusal(capsys, "eval", f"run={run}", "backend=saved_model")


def test_a_file_of_an_earlier_model_is_not_evaluated(copied, capsys):
    shutil.copy(copied / "last.keras", copied / "model.keras")
    with ZipFile(copied / "model.keras", "a") as archive:
        archive.writestr("note", "another model")
    assert "is of another model than" in refusal(capsys, "eval", f"run={copied}", "backend=litert")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export"], "export: give run=…"),
        (["export", "run=RUN", "format=onxx"], "format=onxx: "),
        (["export", "run=RUN", "format=[]"], "format=[]: give one or several of saved_model, onnx, litert"),
        (["export", "run=RUN", "precision=int8"], "precision=int8: format=saved_model has float32 alone"),
        (["eval", "run=RUN", "backend=onnx/float16"], "model.float16.onnx is not there, or not whole; make it with"),
        (["eval", "weights=w.keras", "backend=onnx"], "backend=onnx: an exported file is a run's; give run=RUN"),
    ],
)
def test_a_mistake_is_one_line(exported_run, capsys, arguments, told):
    given = [argument.replace("RUN", str(exported_run)) for argument in arguments]
    assert told in refusal(capsys, *given)


@pytest.mark.parametrize(("format", "package"), [("onnx", "tf2onnx"), ("litert", "ai-edge-litert")])
def test_a_missing_package_names_the_extra(exported_run, capsys, monkeypatch, format, package):
    monkeypatch.setattr(extras, "is_installed", lambda name: False)
    line = refusal(capsys, "export", f"run={exported_run}", f"format={format}")
    assert line == f"error: format={format}: {package} is not installed; pip install 'cnnlab[{format}]'"


def test_a_run_without_a_best_model_is_refused_and_an_unfinished_one_is_told(copied, capsys):
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    assert cli.main(["export", f"run={copied}", "check_images=10"]) == 0
    assert "is interrupted; its best model so far is taken" in capsys.readouterr().err
    (copied / "model.keras").unlink()
    assert "has no model.keras (status: interrupted)" in refusal(capsys, "export", f"run={copied}")
