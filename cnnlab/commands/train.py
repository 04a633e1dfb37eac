"""`cnnlab train`: build → run → report."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.data.classes import differing_names
from cnnlab.data.dataset import Dataset
from cnnlab.data.load import load_dataset
from cnnlab.data.summary import summarize, write_skipped
from cnnlab.errors import Diverged, Interrupted, UserError
from cnnlab.reporting.curves import draw_curves
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.anew import command_anew
from cnnlab.runs.lock import sole_writer
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import build_strategy, configure_runtime, is_chief, thread_count, watch_workers
from cnnlab.runtime.precision import choose_precision
from cnnlab.schedules.schedule import build_schedule
from cnnlab.training.header import header_lines
from cnnlab.training.loggers.logger import build_loggers, closing
from cnnlab.training.loop_setup import build_loop
from cnnlab.training.plan import build_plan
from cnnlab.training.progress import build_progress, phase, progress_kind
from cnnlab.training.signals import stop_on_signals
from cnnlab.training.train_state import build_train_state
from cnnlab.training.trainer_config import build_trainer_config

log = logging.getLogger(__name__)


def train(config: DictConfig, directory: Path) -> None:
    """Train a model, or go on with the run in `directory` if `config.resume` is set; print the run's path.

    Args:
        config: the resolved and validated configuration (conf/train.yaml).
        directory: the run directory.

    Raises:
        UserError: the data or the machine do not fit the configuration, the directory holds another run, or the
            classes are no longer those of the run that is to go on.
        Interrupted, Diverged: see Loop.run.
    """
    configure_runtime(config.trainer)
    strategy = build_strategy(config.trainer)
    progress = progress_kind(config.trainer.progress) if is_chief(strategy) else "none"
    precision, reason = choose_precision(_requested_precision(config))
    with phase("reading the dataset", progress):
        dataset = load_dataset(config.dataset, config.seeds.split)
    if config.resume is not None:
        _require_same_classes(Run.open(config.resume), dataset)
    config.dataset.num_classes, config.dataset.validation = len(dataset.class_names), dataset.validation
    trainer = build_trainer_config(config.trainer)
    plan = build_plan(trainer, len(dataset.splits["train"]))
    schedule = build_schedule(config.schedule, config.optimizer.learning_rate, plan.steps_per_epoch, plan.total_steps)
    with phase("building the model", progress), watch_workers(strategy):
        train_state = build_train_state(config, dataset, strategy, schedule, precision, plan.total_steps)
    with stop_on_signals() as stop, _output_directory(directory, strategy) as output, sole_writer(output):
        run = _open_or_create(output, config)
        loggers = build_loggers(config.logger, run) if is_chief(strategy) else []
        display = build_progress(progress, plan.epochs, plan.total_steps, validates="validation" in dataset.splits)
        display.header(header_lines(config, dataset, plan, train_state, precision, directory))
        states = directory / "checkpoints"
        loop = build_loop(config, trainer, run, dataset, plan, schedule, train_state, states, stop, display, loggers)
        with _reported(run), closing(loggers, run), run.recorded(), watch_workers(strategy):
            run.update(
                precision=precision,
                precision_reason=reason,
                devices=list(strategy.extended.worker_devices),
                replicas=strategy.num_replicas_in_sync,
                threads=_same_threads(run),
                seeds=dict(config.seeds),
                total_params=train_state.network.count_params(),
                class_names=dataset.own_names,
                data={name: asdict(summary) for name, summary in summarize(dataset).items()},
            )
            _list_skipped(output / "skipped_files.csv", dataset)
            try:
                loop.run()
            except Diverged:
                if is_chief(strategy):
                    log.warning("start anew with a smaller learning rate: %s", command_anew(run))
                raise
    if is_chief(strategy):
        print(directory)


@contextmanager
def _reported(run: Run) -> Iterator[None]:
    """Draw the curves and write the report after the block, also of a run that did not come to its end."""
    try:
        yield
    except Exception as error:
        if run.history() or isinstance(error, Interrupted | Diverged):
            with suppress(OSError):  # a full disk does not hide what ended the run
                _report(run)
        raise
    _report(run)


def _report(run: Run) -> None:
    history = run.history()
    if history:
        best = run.record.get("best") or {}
        draw_curves(history, run.plots / "curves.png", best.get("epoch"), run.config.name)
    write_report(run)


@contextmanager
def _output_directory(directory: Path, strategy: tf.distribute.Strategy) -> Iterator[Path]:
    """Where this process writes: the run directory for the chief, one that is dropped for its helpers."""
    if is_chief(strategy):
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
    else:
        with TemporaryDirectory(prefix="cnnlab-worker-") as temporary:
            yield Path(temporary)


def _open_or_create(path: Path, config: DictConfig) -> Run:
    """The run to write: a new one, or on resume the one that is there, with the changes asked for."""
    config = config.copy()
    resumed, config.resume = config.resume is not None, None
    if not resumed or not (path / "run.json").exists():
        return Run.create(path, config)
    run = Run.open(path)
    run.resume(config)
    return run


def _list_skipped(path: Path, dataset: Dataset) -> None:
    """Write the list of the files that were left out; there is none where none was."""
    if any(dataset.skipped.values()):
        write_skipped(path, dataset.skipped)
        log.info("the skipped files are listed in %s", path)
    else:
        path.unlink(missing_ok=True)


def _require_same_classes(run: Run, dataset: Dataset) -> None:
    """A run goes on with the classes it began with: the model's outputs stand for them, in their order."""
    if "class_names" not in run.record:  # it was stopped before it had looked at its data
        return
    difference = differing_names(run.record["class_names"], dataset.own_names)
    if difference:
        raise UserError(
            f"resume={run.path}: {dataset.name} no longer has the classes that the run began with ({difference}); "
            "restore them, or train a new run"
        )


def _requested_precision(config: DictConfig) -> str:
    """The configured precision; where that is `auto`, a run goes on in the one it began with."""
    requested = config.trainer.precision
    if requested == "auto" and config.resume is not None:
        return Run.open(config.resume).record.get("precision", requested)
    return requested


def _same_threads(run: Run) -> int:
    """The thread count; says so where a resumed run had another, since the last bits then differ."""
    before, now = run.record.get("threads"), thread_count()
    if before not in (None, now):
        log.warning(
            "%s ran with %d threads, now with %d: results differ in the last bits; set trainer.threads=%d",
            run.path,
            before,
            now,
            before,
        )
    return now
