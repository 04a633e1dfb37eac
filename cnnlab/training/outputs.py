"""Everything a training writes into its run directory as it proceeds."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from cnnlab.models.keras_file import save_model
from cnnlab.runs.run import Run
from cnnlab.training.checkpoints import Checkpoints
from cnnlab.training.divergence import WeightCheck
from cnnlab.training.loop_state import LoopState
from cnnlab.training.step import average_statistics
from cnnlab.training.tables import StepTable, write_epochs
from cnnlab.training.train_state import TrainState
from cnnlab.training.variables import training_variables


class Outputs:
    """The writer of a run: tables, checkpoints, models.

    Args:
        run: the run directory.
        train_state: whose weights are written.
        exported: the model that leaves the run: raw uint8 images in, probabilities out; shares the layers.
        class_names: what the models carry, in the order of their outputs; None for classes without names.
        keep_checkpoints: how many of the last states stay.
    """

    def __init__(
        self,
        run: Run,
        train_state: TrainState,
        exported: keras.Model,
        class_names: Sequence[str] | None,
        keep_checkpoints: int,
    ):
        self._run = run
        self._train_state = train_state
        self._check_weights = WeightCheck(train_state.network.weights)
        self._exported = exported
        self._class_names = class_names
        self._checkpoints = Checkpoints(run.checkpoints, keep_checkpoints)
        self._steps: StepTable  # from `begin` on

    def begin(self, last_step: int) -> None:
        """Open the tables at the step training begins or resumes at; later rows of steps.csv are dropped."""
        self._steps = StepTable(self._run.path / "steps.csv", last_step)

    def steps(self, first_step: int, steps_per_epoch: int, results: np.ndarray) -> None:
        """Append the rows of consecutive steps (see StepTable.append)."""
        self._steps.append(first_step, steps_per_epoch, results)

    def epoch(self, state: LoopState) -> None:
        """Bring metrics.csv up to date."""
        write_epochs(self._run.path / "metrics.csv", state.history)

    def checkpoint(self, state: LoopState, *, best: bool) -> None:
        """Write the full state, and model.keras if it is the best so far.

        Raises:
            Diverged: a weight, or a moving statistic, is NaN or infinite; nothing is written.
            OSError: the disk is full or read-only; what was written before stays.
        """
        average_statistics(self._train_state)
        self._check_weights(state.step)
        if best:  # before the state: a run killed in between resumes from the state before and comes here again
            self._export(self._run.best_model)
            self._run.update(best=state.to_json()["best"])
        self._checkpoints.save(training_variables(self._train_state), state.to_json(), best=best)

    def finish(self) -> None:
        """Write last.keras."""
        self._export(self._run.last_model)
        self._steps.close()

    def _export(self, path: Path) -> None:
        with self._train_state.evaluated_weights():
            save_model(self._exported, path, self._class_names)
