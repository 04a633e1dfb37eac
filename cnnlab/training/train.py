"""`cnnlab train`: build → run → report."""

import logging
import tempfile
from contextlib import nullcontext
from pathlib import Path

import keras
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.build import instantiate
from cnnlab.data.feed import build_feed
from cnnlab.data.load import load_dataset
from cnnlab.data.order import EvaluationOrder, TrainingOrder
from cnnlab.evaluation.report import write_report
from cnnlab.models.build import export
from cnnlab.runs.lock import sole_writer
from cnnlab.runs.run import Run
from cnnlab.schedules.build import build_schedule
from cnnlab.training.checkpoints import Checkpoints
from cnnlab.training.devices import agreement, build_strategy, configure_runtime, is_chief, thread_count
from cnnlab.training.learner import build_learner
from cnnlab.training.loop import Loop
from cnnlab.training.objective import build_objective
from cnnlab.training.outputs import Outputs, training_variables
from cnnlab.training.plan import build_plan
from cnnlab.training.precision import choose_precision
from cnnlab.training.progress import build_progress
from cnnlab.training.selection import build_selection
from cnnlab.training.signals import StopRequest, stop_on_signals
from cnnlab.training.state import LoopState
from cnnlab.training.step import compile_training, separate_dropout
from cnnlab.training.validation import build_validation

log = logging.getLogger(__name__)


def train(config: DictConfig, directory: Path) -> None:
    """Train a model, or go on with `config.resume`; print the run's path.

    Args:
        config: the resolved and validated configuration (conf/train.yaml).
        directory: the run directory.

    Raises:
        UserError: the data or the machine do not fit the configuration, or the directory holds another run.
        Interrupted, Diverged: see Loop.run.
    """
    configure_runtime(config.trainer)
    strategy = build_strategy(config.trainer)
    ...
