"""TensorBoard: event files in RUN/tensorboard."""

from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api

from cnnlab.runs.run import Run
from cnnlab.training.loggers.logger import RunLogger, hyperparameters, run_label, text


class TensorBoard(RunLogger):
    """Hyperparameters, and scalars under the names and in the folders that keras.callbacks.TensorBoard gives them.

    Keras's own callback does something at every step, counts epochs from 0 and may lose what it has not yet
    written when the process is killed. A resumed run adds event files.

    Args:
        run: the run.
    """

    def __init__(self, run: Run):
        super().__init__(run)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        folder = self.run.path / "tensorboard"
        for part in ("", "train", "validation"):
            self._writers[part] = tf.summary.create_file_writer(str(folder / part))
        values = {
            key: value if isinstance(value, bool | int | float) else text(value)
            for key, value in hyperparameters(self.run).items()
        }
        with self._writers[""].as_default():
            api.hparams(values, trial_id=run_label(self.run))
        self._writers[""].flush()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            with self._writers[part].as_default(step=epoch + 1):
                tf.summary.scalar(f"epoch_{name.removeprefix('val_')}", value)
        for writer in self._writers.values():
            writer.flush()

    def close(self, status: str) -> None:
        for writer in self._writers.values():
            writer.close()
