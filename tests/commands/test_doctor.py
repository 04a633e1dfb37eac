"""`cnnlab doctor`."""

import json

import keras
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.commands import doctor
from cnnlab.runtime import examine, machine
from cnnlab.runtime.precision import choose_precision


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Measure small products: what they say about this machine is of no interest here."""
    monkeypatch.setattr(examine, "SMALLEST", 64)
    monkeypatch.setattr(examine, "LARGEST", 64)


@pytest.fixture
def report(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return examine.examine


def test_tells_versions_machine_and_what_precision_auto_means(report):
    told = report()
    assert told["versions"]["tensorflow"] == tf.__version__
    assert told["versions"]["keras"] == keras.__version__
    assert told["machine"]["usable_cores"] == machine.usable_cores()
    assert told["machine"]["memory_gib"] > 0
    assert (told["precision"]["auto"], told["precision"]["because"]) == choose_precision("auto")
    assert set(told["matrix_product_gflops"]) == {"float32", "bfloat16"}
    assert min(told["matrix_product_gflops"].values()) > 0


def test_finds_datasets_where_training_would(report, monkeypatch, tmp_path):
    (tmp_path / "elsewhere" / "cifar-10-batches-py").mkdir(parents=True)
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    monkeypatch.setenv("CNNLAB_DATA", str(tmp_path / "elsewhere"))
    found = report()["datasets"]
    assert found["cifar10"] == str(tmp_path / "elsewhere" / "cifar-10-batches-py")
    assert found["mnist"] == str(tmp_path / "data" / "mnist")
    assert found["cats_vs_dogs"] is None


def test_a_gpu_tensorflow_cannot_use_is_named_with_the_remedy(report, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    monkeypatch.setattr(machine, "installed_gpus", lambda: ["NVIDIA X100, 81559 MiB, 999.9"])
    assert "pip install 'cnnlab[gpu]'" in report()["gpus"]["problem"]
    monkeypatch.setattr(machine, "installed_gpus", list)
    assert "problem" not in report()["gpus"]


def test_says_whether_runs_can_be_written(report, tmp_path):
    assert report()["outputs"] == {"folder": str(tmp_path / "outputs"), "writable": True}
    assert list(tmp_path.iterdir()) == []


def test_prints_a_table_or_json(report, capsys, tmp_path):
    doctor.doctor(OmegaConf.create({"format": "json"}), tmp_path)
    told = json.loads(capsys.readouterr().out)
    doctor.doctor(OmegaConf.create({"format": "table"}), tmp_path)
    table = capsys.readouterr().out
    for section in told:
        assert section.replace("_", " ") in table
    assert told["versions"]["keras"] in table
