"""Weights & Biases: a run of its service, with its files in RUN/wandb."""

import secrets
from typing import Any, Literal

import wandb
from wandb.errors import Error

from cnnlab.errors import UserError, one_line
from cnnlab.runs.run import Run
from cnnlab.training.loggers.logger import RunLogger, hyperparameters, run_label, tolerant

EXIT_CODES = {"completed": 0, "interrupted": 255}  # 255 is shown as killed


class WandB(RunLogger):
    """Configuration and metrics through W&B's client; the step of a metric is its epoch.

    The run's record keeps the id, so that a resumed run adds to the same W&B run. Offline, each session
    writes a folder of its own with that id. A service that fails on the way costs rows, not the training.

    Args:
        run: the run.
        mode: online, or offline for files alone.
        project: the W&B project.
        entity: the user or team; None: the account's own.
    """

    def __init__(self, run: Run, mode: Literal["online", "offline"], project: str, entity: str | None):
        super().__init__(run)
        self._mode = mode
        self._project = project
        self._entity = entity
        self._session: wandb.Run | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if "wandb" not in self.run.record:
            self.run.update(wandb=secrets.token_hex(4))
        try:
            self._session = wandb.init(
                id=self.run.record["wandb"],
                resume="allow" if self._mode == "online" else None,
                mode=self._mode,
                project=self._project,
                entity=self._entity,
                name=run_label(self.run),
                dir=self.run.path,
                config=hyperparameters(self.run),
                allow_val_change=True,
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True, disable_git=True),
            )
        except Error as error:
            reason = one_line(error).rstrip(".")
            raise UserError(f"logger.wandb.mode={self._mode}: {reason}; or use logger.wandb.mode=offline") from error

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._session:
            with tolerant("WandB", f"epoch {epoch + 1}"):
                self._session.log({"epoch": epoch + 1, **(logs or {})}, step=epoch + 1)

    def close(self, status: str) -> None:
        if self._session:
            self._session.finish(exit_code=EXIT_CODES.get(status, 1))
