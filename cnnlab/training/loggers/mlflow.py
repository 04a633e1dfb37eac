"""MLflow: a run in the database that all runs share, or on a tracking server."""

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnlab.errors import UserError, one_line
from cnnlab.runs.lock import lock
from cnnlab.runs.run import Run
from cnnlab.training.loggers.logger import RunLogger, hyperparameters, run_label, text, tolerant

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import; nothing is reported unasked
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # MLflow's own values: four minutes without a word
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # seconds

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

log = logging.getLogger(__name__)

STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}
PARAMS_AT_ONCE = 100  # MLflow takes no more
SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"


class MLflow(RunLogger):
    """Parameters and metrics through MLflow's client; the step of a metric is its epoch.

    The run's record keeps the MLflow run, so that a resumed run adds to it. MLflow lets nobody change a
    parameter: those that a resumed run has at other values become tags of the same name, and that is told. A
    server that fails on the way costs rows, not the training.

    Args:
        run: the run.
        tracking_uri: where MLflow keeps its runs: an SQLite file, made where there is none, another database, a
            server or a folder.
        experiment: the MLflow experiment, made where there is none of that name.
    """

    def __init__(self, run: Run, tracking_uri: str, experiment: str):
        super().__init__(run)
        self._tracking_uri = tracking_uri
        self._experiment = experiment
        self._client: MlflowClient | None = None
        self._id = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        uri = self._tracking_uri
        if "://" not in uri or uri.startswith("file:"):  # MLflow wants to be asked for its plain files
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        log.info("MLflow: experiment %s at %s", self._experiment, uri)
        try:
            with _alone(uri):
                client = MlflowClient(tracking_uri=uri)
                self._id = self._reopened(client) or self._begun(client)
        except Exception as error:  # SQLAlchemy's and Alembic's too: whatever keeps a store from opening
            raise UserError(
                f"logger.mlflow.tracking_uri={uri}: {one_line(error)}; give another, or leave the logger out, "
                "logger=none"
            ) from error
        self._client = client
        self.run.update(mlflow={"tracking_uri": uri, "run_id": self._id})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now, epoch + 1) for name, value in (logs or {}).items()]
        if self._client:
            with tolerant("MLflow", f"epoch {epoch + 1}"):
                self._client.log_batch(self._id, metrics=metrics)

    def close(self, status: str) -> None:
        if self._client:
            self._client.set_terminated(self._id, STATUS.get(status, "FAILED"))

    def _reopened(self, client: MlflowClient) -> str | None:
        """The MLflow run of an earlier session, open again; None where there is none, or none any more."""
        known = self.run.record.get("mlflow", {})
        if not known or known["tracking_uri"] != self._tracking_uri:
            return None
        try:
            client.update_run(known["run_id"], status="RUNNING")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        self._tag_changes(client, known["run_id"])
        return known["run_id"]

    def _tag_changes(self, client: MlflowClient, run_id: str) -> None:
        """Say as tags which parameters the resumed run has at other values than it began with."""
        data = client.get_run(run_id).data
        for key, value in _params(self.run).items():
            current = data.tags.get(key, data.params.get(key))
            if value != current:
                client.set_tag(run_id, key, value)
                log.warning(
                    "MLflow keeps the parameters a run began with; the tag %s says %s, before %s", key, value, current
                )

    def _begun(self, client: MlflowClient) -> str:
        """A new MLflow run with the run's hyperparameters."""
        experiment = _experiment(client, self._experiment, self._tracking_uri)
        begun = client.create_run(experiment, run_name=run_label(self.run), tags={"cnnlab.run": str(self.run.path)})
        params = [Param(key, value) for key, value in _params(self.run).items()]
        for first in range(0, len(params), PARAMS_AT_ONCE):
            client.log_batch(begun.info.run_id, params=params[first : first + PARAMS_AT_ONCE])
        return begun.info.run_id


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    """The id of an experiment; a new one in an SQLite file has its artifacts beside that."""
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    beside = (Path(uri.removeprefix(SQLITE)).parent / ARTIFACTS).as_uri() if uri.startswith(SQLITE) else None
    try:
        return client.create_experiment(name, artifact_location=beside)
    except MlflowException as error:
        exists = error.error_code == "RESOURCE_ALREADY_EXISTS"  # another run on the same server was faster
        found = client.get_experiment_by_name(name) if exists else None
        if found is None:
            raise
        return found.experiment_id


def _params(run: Run) -> dict[str, str]:
    """The hyperparameters under names that MLflow takes."""
    return {re.sub(r"[^\w\-. /:]", "_", key): text(value) for key, value in hyperparameters(run).items()}


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Keep other trainings from the same SQLite file for the length of the block: MLflow makes its tables there, on
    the first use, in steps that fail where two do so at once.
    """
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as file:
        lock(file, fcntl.LOCK_EX)
        yield
