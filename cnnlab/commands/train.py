"""`cnnlab train`: build → run → report."""

from pathlib import Path

from omegaconf import DictConfig

from cnnlab.config.run_config import left_to_data
from cnnlab.config.scoring import score_columns
from cnnlab.data.load import load_dataset
from cnnlab.data.overlap import tell_shared
from cnnlab.data.summary import tell_imbalance
from cnnlab.runs.lock import sole_writer
from cnnlab.runtime.devices import build_strategy, configure_runtime, is_chief, watch_workers
from cnnlab.runtime.precision import choose_precision
from cnnlab.schedules.schedule import build_schedule
from cnnlab.training.header import header_lines
from cnnlab.training.loggers.logger import build_loggers, closing
from cnnlab.training.loop_setup import build_loop
from cnnlab.training.plan import build_plan
from cnnlab.training.progress import build_progress, phase, progress_kind
from cnnlab.training.run_record import (
    open_or_create,
    output_directory,
    record_training,
    reported,
    requested_precision,
    same_data,
)
from cnnlab.training.signals import stop_on_signals
from cnnlab.training.train_state import build_train_state
from cnnlab.training.trainer_config import build_trainer_config


def train(config: DictConfig, directory: Path) -> None:
    """Train as `train_run` does, and print the run's path."""
    if train_run(config, directory):
        print(directory)


def train_run(config: DictConfig, directory: Path) -> bool:
    """Train a model, or resume the run in `directory` if `config.resume` is set.

    Args:
        config: the resolved and validated configuration (conf/train.yaml).
        directory: the run directory.

    Returns:
        Whether this process is the one that writes the run.

    Raises:
        UserError: the data or the machine do not fit the configuration, the directory holds another run, or the
            classes or images are no longer those of the run that is resumed.
        Interrupted, Diverged: see Loop.run.
    """
    configure_runtime(config.trainer, trains=True)
    strategy = build_strategy(config.trainer)
    progress = progress_kind(config.trainer.progress) if is_chief(strategy) else "none"
    precision, reason = choose_precision(requested_precision(config))
    with phase("reading the dataset", progress):
        dataset = load_dataset(config.dataset, config.seeds.split)
        tell_shared(dataset)
        tell_imbalance(dataset, config.dataset.get("sampling"), config.loss.get("class_weight"))
    dataset = same_data(config.resume, dataset)
    left = left_to_data(config)
    config.dataset.num_classes, config.dataset.validation = len(dataset.class_names), dataset.validation
    trainer = build_trainer_config(config.trainer)
    plan = build_plan(trainer, len(dataset.splits["train"]))
    schedule = build_schedule(config.schedule, config.optimizer.learning_rate, plan.steps_per_epoch, plan.total_steps)
    with phase("building the model", progress), watch_workers(strategy):
        train_state = build_train_state(config, dataset, strategy, schedule, precision, plan)
    with stop_on_signals() as stop, output_directory(directory, strategy) as output, sole_writer(output):
        run = open_or_create(output, config, left)
        loggers = build_loggers(config.logger, run) if is_chief(strategy) else []
        scores = score_columns(config.loss, config.metric, validates="validation" in dataset.splits)
        display = build_progress(progress, plan.epochs, plan.total_steps, scores=scores)
        display.header(header_lines(config, dataset, plan, train_state, precision, directory))
        loop = build_loop(config, trainer, run, dataset, plan, schedule, train_state, directory, stop, display, loggers)
        with reported(run, strategy), closing(loggers, run), run.recorded(), watch_workers(strategy):
            record_training(run, config, train_state, dataset, precision, reason)
            loop.run()
    return is_chief(strategy)
