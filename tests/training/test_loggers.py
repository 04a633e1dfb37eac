"""Loggers by configuration: what they wrote is read back by their own readers, after real small trainings."""

import json
import struct
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec
from io import StringIO
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.config import extras
from cnnlab.runs.run import Run
from cnnlab.training.loggers.logger import RunLogger, closing

OFFLINE = {"tensorboard": [], "mlflow": [], "wandb": ["logger.wandb.mode=offline"]}
MEASURED = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds", "images_per_second"}


@pytest.fixture(autouse=True)
def _packages(request):
    """Tests of a logger whose package is not installed are skipped."""
    logger = request.node.callspec.params.get("logger") if hasattr(request.node, "callspec") else None
    if logger:
        require(logger)


def require(logger: str) -> None:
    for package in ("mlflow", "sqlalchemy") if logger == "mlflow" else (logger,):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'cnnlab[{logger}]'")


@pytest.fixture(scope="module")
def working_directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(autouse=True)
def _in_one_working_directory(working_directory, monkeypatch) -> None:
    """All runs of these tests share what is below it, as MLflow's database."""
    monkeypatch.chdir(working_directory)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def logged_by_tensorboard(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = {}
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(run / "tensorboard" / part)).Reload()
        for tag in events.Tags()["tensors"]:
            values = [
                (event.step, tensor_util.make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)
            ]
            found[prefix + tag.removeprefix("epoch_")] = values
    return found


def logged_by_mlflow(run: Path) -> dict[str, list[tuple[int, float]]]:
    client, found = mlflow_run(run)
    return {
        name: [(metric.step, metric.value) for metric in client.get_metric_history(found.info.run_id, name)]
        for name in found.data.metrics
    }


def mlflow_run(run: Path):
    """A client of outputs/mlflow.db, and the MLflow run of a run in it."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{Path.cwd()}/outputs/mlflow.db")
    (experiment,) = (found for found in client.search_experiments() if found.name == "cnnlab")
    assert experiment.artifact_location == (Path.cwd() / "outputs" / "mlartifacts").as_uri()
    (found,) = (found for found in client.search_runs([experiment.experiment_id]) if of_run(found) == run)
    return client, found


def of_run(found) -> Path:
    return Path(found.data.tags["cnnlab.run"])


def logged_by_wandb(run: Path) -> dict[str, list[tuple[int, float]]]:
    found = {}
    for record in wandb_records(run):
        values = {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for name in values.keys() & MEASURED:
            found.setdefault(name, []).append((values["epoch"], values[name]))
    return found


def wandb_records(run: Path) -> list:
    """The records of all sessions: W&B's own messages, in blocks as in a LevelDB log."""
    from wandb.proto import wandb_internal_pb2 as messages

    records = []
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        data, position, content = file.read_bytes(), 7, b""
        while position < len(data):
            left = -position % 32768 or 32768
            if left < 7:  # too little for another header: padding
                position += left
                continue
            _, size, kind = struct.unpack_from("<IHB", data, position)
            content += data[position + 7 : position + 7 + size]
            position += 7 + size
            if kind in (1, 4):  # whole, or the last part
                records.append(messages.Record.FromString(content))
                content = b""
    return records


READERS = {"tensorboard": logged_by_tensorboard, "mlflow": logged_by_mlflow, "wandb": logged_by_wandb}


def assert_logged(run: Path, logged: dict[str, list[tuple[int, float]]], epochs: list[int]) -> None:
    """What was logged is what metrics.csv says of these epochs, once per epoch."""
    table = pd.read_csv(run / "metrics.csv").set_index("epoch").loc[epochs]
    for name in MEASURED:
        steps, values = zip(*logged[name], strict=True)
        assert list(steps) == epochs
        np.testing.assert_allclose(values, table[name], rtol=1e-6)  # TensorBoard keeps float32


@dataclass
class Logged:
    """A run of two epochs with every logger that is installed, resumed from elsewhere for another two."""

    run: Path
    of_two_epochs: dict[str, dict[str, list[tuple[int, float]]]]
    weights_after_two: dict[str, np.ndarray]
    told_by_the_second: str


@pytest.fixture(scope="module")
def logged(train, working_directory, tmp_path_factory) -> Logged:
    chosen = [name for name in READERS if extras.is_installed("sqlalchemy" if name == "mlflow" else name)]
    offline = [argument for name in chosen for argument in OFFLINE[name]]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(working_directory)
        run = train(f"logger=[{','.join(chosen)}]", *offline)
        assert pd.read_csv(run / "metrics.csv").epoch.tolist() == [1, 2]
        of_two_epochs = {name: READERS[name](run) for name in chosen}
        weights = best_weights(run)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # the run knows where MLflow's database is
        with redirect_stderr(StringIO()) as told:
            assert cli.main(["train", f"resume={run}", "trainer.epochs=4"]) == 0
    return Logged(run, of_two_epochs, weights, told.getvalue())


def best_weights(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "checkpoints" / "best.npz") as archive:
        return {name: archive[name] for name in archive.files if name.startswith("network/")}


@pytest.mark.parametrize("logger", READERS)
def test_metrics_go_to_the_logger_epoch_by_epoch_and_a_resumed_run_adds_to_them(logged, logger):
    assert_logged(logged.run, logged.of_two_epochs[logger], [1, 2])
    assert_logged(logged.run, READERS[logger](logged.run), [1, 2, 3, 4])


def test_tensorboard_has_the_hyperparameters(logged):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.plugins.hparams import plugin_data_pb2

    metadata = accumulator.EventAccumulator(str(logged.run / "tensorboard")).Reload().PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(metadata["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["optimizer.learning_rate"].number_value == 0.001
    assert start.hparams["model.name"].string_value == "mnist_cnn"
    assert start.hparams["dataset.image_shape"].string_value == "[8, 8, 1]"


def test_mlflow_has_the_hyperparameters_and_how_the_run_ended(train):
    require("mlflow")
    run = train("logger=mlflow", "optimizer=sgd", "optimizer.learning_rate=1e12", code=3)
    _, found = mlflow_run(run)
    assert found.info.status == "FAILED"
    assert found.data.params["optimizer._target_"] == "keras.optimizers.SGD"
    assert found.data.params["dataset.image_shape"] == "[8, 8, 1]"
    assert found.data.params["trainer.steps"] == "null"
    assert "logger.mlflow.experiment" not in found.data.params


def test_mlflow_is_told_in_tags_what_a_resumed_run_goes_on_with(logged, capsys):
    require("mlflow")
    assert "the tag trainer.epochs says 4, before 2" in logged.told_by_the_second
    _, found = mlflow_run(logged.run)
    assert (found.data.params["trainer.epochs"], found.data.tags["trainer.epochs"]) == ("2", "4")
    assert found.info.status == "FINISHED"
    assert cli.main(["train", f"resume={logged.run}", "trainer.epochs=4"]) == 0
    assert "the tag" not in capsys.readouterr().err


@pytest.mark.slow
def test_two_trainings_begin_one_database_at_once(tmp_path, monkeypatch, cnnlab_process):
    require("mlflow")
    monkeypatch.chdir(tmp_path)
    small = ["input_shape=[8,8,1]", "model.padding=same", "trainer.steps=3", "trainer.progress=none"]
    processes = [cnnlab_process("train", *small, "logger=mlflow", f"hydra.run.dir={tmp_path}/{name}") for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    for name in "ab":
        assert_logged(tmp_path / name, logged_by_mlflow(tmp_path / name), [1])


def test_wandb_has_the_hyperparameters_and_keeps_its_id(logged):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'cnnlab[wandb]'")
    sessions = [record.run for record in wandb_records(logged.run) if record.HasField("run")]
    first, second = ({item.key: json.loads(item.value_json) for item in run.config.update} for run in sessions[:2])
    assert {session.run_id for session in sessions} == {json.loads((logged.run / "run.json").read_text())["wandb"]}
    assert first["model.name"] == "mnist_cnn"
    assert (first["trainer.epochs"], second["trainer.epochs"]) == (2, 4)


def test_a_service_that_fails_on_the_way_costs_rows_not_the_training_and_every_logger_is_closed(
    tmp_path, monkeypatch, caplog
):
    def fail(*_: object, **__: object) -> None:
        raise ConnectionResetError("the service\nis gone")

    service = ModuleType("wandb")
    service.init = lambda **_: SimpleNamespace(log=fail, finish=fail)
    service.Settings = SimpleNamespace
    errors = ModuleType("wandb.errors")
    errors.Error = type("Error", (Exception,), {})
    adapter = "cnnlab.training.loggers.wandb"
    for name, module in (("wandb", service), ("wandb.errors", errors), (adapter, None)):
        monkeypatch.setitem(sys.modules, name, module)
    del sys.modules[adapter]  # it is imported anew, and forgotten after the test
    run = Run.create(tmp_path, OmegaConf.create({"seed": 0}))
    closed = []
    last = RunLogger(run)
    last.close = closed.append
    first = import_module(adapter).WandB(run, "online", "cnnlab", None)
    first.on_train_begin()
    first.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(ZeroDivisionError), closing([first, last], run):
        raise ZeroDivisionError
    assert caplog.messages == [f"WandB did not take {what}: the service is gone" for what in ("epoch 1", "the end")]
    assert closed == ["failed"]


def test_loggers_change_nothing_in_what_is_trained(logged, small_run):
    plain = best_weights(small_run)
    assert logged.weights_after_two.keys() == plain.keys()
    for name, value in plain.items():
        np.testing.assert_array_equal(logged.weights_after_two[name], value)


@pytest.mark.parametrize("package", READERS)
@pytest.mark.parametrize("spec", [None, ModuleSpec("a_mere_folder", None)])
def test_a_missing_package_is_told_before_anything_is_trained(train, capsys, monkeypatch, package, spec):
    monkeypatch.setattr(extras, "find_spec", lambda name: spec)
    run = train(f"logger={package}", code=2)
    assert capsys.readouterr().err == (
        f"error: logger={package}: {package} is not installed; pip install 'cnnlab[{package}]'\n"
    )
    assert not run.exists()


def test_a_run_is_evaluated_without_the_package_it_was_logged_with(logged, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert cli.main(["eval", f"run={logged.run}"]) == 0


@pytest.mark.timeout(120)  # MLflow itself would try for four minutes
def test_mlflow_out_of_reach_is_told_soon_and_in_one_line(train, capsys):
    require("mlflow")
    train("logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9", code=2)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.endswith("MLflow: experiment cnnlab at http://127.0.0.1:9") for line in lines)
    assert lines[-1].startswith("error: logger.mlflow.tracking_uri=http://127.0.0.1:9: ")
    assert not any("Traceback" in line for line in lines)


def test_a_database_that_cannot_be_opened_is_told_in_one_line(train, capsys, tmp_path):
    require("mlflow")
    (tmp_path / "full.db").write_text("no database at all")
    train("logger=mlflow", f"logger.mlflow.tracking_uri=sqlite:///{tmp_path}/full.db", code=2)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: logger.mlflow.tracking_uri=sqlite:///{tmp_path}/full.db: ")
    assert "file is not a database" in line


def test_the_client_of_mlflow_alone_has_no_database(train, capsys, monkeypatch):
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == "sqlalchemy" else ModuleSpec(name, None, origin="a")
    )
    train("logger=mlflow", code=2)
    assert capsys.readouterr().err == (
        "error: logger=mlflow: sqlalchemy is not installed; pip install 'cnnlab[mlflow]'\n"
    )
