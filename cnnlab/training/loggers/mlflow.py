"""MLflow: a run on a tracking server, or in RUN/mlruns."""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cnnlab.errors import UserError
from cnnlab.runs.run import Run
from cnnlab.training.loggers.logger import RunLogger, hyperparameters, run_label, text

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import; nothing is reported unasked

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

log = logging.getLogger(__name__)

STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}
PARAMS_AT_ONCE = 100  # MLflow takes no more


class MLflow(RunLogger):
    """Parameters and metrics through MLflow's client; the step of a metric is its epoch.

    The run's record keeps the MLflow run, so that a run that goes on adds to it; its parameters, which MLflow
    lets nobody change, stay those it began with. A server that fails on the way costs rows, not the training.

    Args:
        run: the run.
        tracking_uri: where MLflow keeps its runs: a server or a folder; None: RUN/mlruns.
        experiment: the MLflow experiment, made where there is none of that name.
    """

    def __init__(self, run: Run, tracking_uri: str | None, experiment: str):
        super().__init__(run)
        self._tracking_uri = tracking_uri
        self._experiment = experiment
        self._client: MlflowClient | None = None
        self._id = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        uri = self._tracking_uri or (self.run.path / "mlruns").as_uri()
        if "://" not in uri or uri.startswith("file:"):  # MLflow wants to be asked for its plain files
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        try:
            client = MlflowClient(tracking_uri=uri)
            self._id = self._reopened(client) or self._begun(client)
        except MlflowException as error:
            raise UserError(f"logger.mlflow.tracking_uri={uri}: {_line(error)}") from error
        self._client = client
        self.run.update(mlflow={"tracking_uri": self._tracking_uri, "run_id": self._id})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.time_ns() // 1_000_000
        metrics = [Metric(name, value, now, epoch + 1) for name, value in (logs or {}).items()]
        with _tolerant(f"epoch {epoch + 1}"):
            self._client.log_batch(self._id, metrics=metrics)

    def close(self, status: str) -> None:
        if self._client:
            with _tolerant("the end"):
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
        return known["run_id"]

    def _begun(self, client: MlflowClient) -> str:
        """A new MLflow run with the run's hyperparameters."""
        found = client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else client.create_experiment(self._experiment)
        begun = client.create_run(experiment, run_name=run_label(self.run), tags={"cnnlab.run": str(self.run.path)})
        params = [
            Param(re.sub(r"[^\w\-. /:]", "_", key), text(value)) for key, value in hyperparameters(self.run).items()
        ]
        for first in range(0, len(params), PARAMS_AT_ONCE):
            client.log_batch(begun.info.run_id, params=params[first : first + PARAMS_AT_ONCE])
        return begun.info.run_id


@contextmanager
def _tolerant(what: str) -> Iterator[None]:
    """Report what MLflow did not take, and go on."""
    try:
        yield
    except MlflowException as error:
        log.warning("MLflow did not take %s: %s", what, _line(error))


def _line(error: MlflowException) -> str:
    return " ".join(str(error).split())
