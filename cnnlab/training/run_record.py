"""The run directory that a training writes: opened or made, described, and reported however the training ends."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.plugin_options import plugin_record
from cnnlab.config.scoring import loss_column
from cnnlab.data.classes import differing_names
from cnnlab.data.dataset import Dataset
from cnnlab.data.file_list import FILE_LIST, restore_files, write_file_list
from cnnlab.data.fingerprint import fingerprints
from cnnlab.data.summary import list_skipped, summarize
from cnnlab.errors import Diverged, Interrupted, UserError
from cnnlab.reporting.curves import draw_curves
from cnnlab.reporting.run_page import write_report
from cnnlab.reporting.words import counted
from cnnlab.runs.anew import command_anew
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import is_chief, thread_count
from cnnlab.runtime.precision import Precision
from cnnlab.training.checkpoint_monitor import known_directions
from cnnlab.training.train_state import TrainState

log = logging.getLogger(__name__)


@contextmanager
def output_directory(directory: Path, strategy: tf.distribute.Strategy) -> Iterator[Path]:
    """Where this process writes: the run directory for the chief, one that is dropped for its helpers."""
    if is_chief(strategy):
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
    else:
        with TemporaryDirectory(prefix="cnnlab-worker-") as temporary:
            yield Path(temporary)


def open_or_create(path: Path, config: DictConfig, left_to_data: Sequence[str]) -> Run:
    """The run to write: a new one, see `Run.create`, or on resume the one there is, with the changes asked for."""
    config = config.copy()
    resumed, config.resume = config.resume is not None, None
    if not resumed or not (path / "run.json").exists():
        return Run.create(path, config, left_to_data)
    run = Run.open(path)
    run.resume(config)
    return run


def requested_precision(config: DictConfig) -> Precision | Literal["auto"]:
    """The configured precision; where that is `auto`, a resumed run keeps the one it began with."""
    requested = config.trainer.precision
    if requested == "auto" and config.resume is not None:
        return Run.open(config.resume).record.get("precision", requested)
    return requested


def same_data(resume: str | None, dataset: Dataset) -> Dataset:
    """The classes and the images that a run began with, to resume it on; without a run, the dataset as it is.

    Raises:
        UserError: they are not those of the dataset any more.
    """
    if resume is None:
        return dataset
    run = Run.open(resume)
    _require_same_classes(run, dataset)
    dataset = restore_files(run.path / FILE_LIST, dataset, f"resume={run.path}")
    _require_same_images(run, dataset)
    return dataset


def _require_same_classes(run: Run, dataset: Dataset) -> None:
    """A resumed run keeps the classes it began with: the model's outputs stand for them, in their order."""
    if "class_names" not in run.record:  # it was stopped before it had looked at its data
        return
    difference = differing_names(run.record["class_names"], dataset.own_names)
    if difference:
        raise UserError(
            f"resume={run.path}: {dataset.name} no longer has the classes that the run began with ({difference}); "
            "restore them, or train a new run"
        )


def _require_same_images(run: Run, dataset: Dataset) -> None:
    """Another draw would put images that the run was trained on into the validation split."""
    if "fingerprints" not in run.record:  # it was stopped before it had looked at its data
        return
    before, now = run.record["fingerprints"], fingerprints(dataset)
    for split in ("train", "validation"):
        if before.get(split) != now.get(split):
            images, count = run.record["data"].get(split, {}).get("images", 0), len(dataset.splits.get(split, ()))
            raise UserError(
                f"resume={run.path}: {dataset.name}, {split}: no longer the images that the run began with (then "
                f"{images:,}, now {count:,}); restore them, or train a new run, from weights={run.path / 'last.keras'}"
            )


def record_training(
    run: Run, config: DictConfig, train_state: TrainState, dataset: Dataset, precision: Precision, reason: str
) -> None:
    """Write down what a training is made of: in run.json, and the lists of the files that it uses and skips."""
    run.update(
        precision=precision,
        precision_reason=reason,
        seeds=dict(config.seeds),
        threads=_thread_count(run),
        better=known_directions(loss_column(config.loss), train_state.metrics),
        plugins=plugin_record(config),
        **_model_record(train_state),
        **_data_record(dataset),
    )
    list_skipped(run.path / "skipped_files.csv", dataset.skipped)
    write_file_list(run.path / FILE_LIST, dataset)


def _model_record(train_state: TrainState) -> dict[str, Any]:
    """What run.json keeps of the model and of the devices that it is on."""
    return {
        "devices": list(train_state.strategy.extended.worker_devices),
        "replicas": train_state.strategy.num_replicas_in_sync,
        "total_params": train_state.network.count_params(),
    }


def _data_record(dataset: Dataset) -> dict[str, Any]:
    """What run.json keeps of the data: class names, a summary and a fingerprint of each split."""
    return {
        "class_names": dataset.own_names,
        "data": {name: asdict(summary) for name, summary in summarize(dataset).items()},
        "fingerprints": fingerprints(dataset),
    }


def _thread_count(run: Run) -> int:
    """The thread count; says so where a resumed run had another, since the last bits then differ."""
    before, now = run.record.get("threads"), thread_count()
    if before not in (None, now):
        log.warning(
            "%s ran with %s, now with %d: results differ in the last bits; trainer.threads=%d goes on exactly",
            run.path, counted(before, "thread"), now, before,
        )  # fmt: skip
    return now


@contextmanager
def reported(run: Run, strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Draw the curves and write the report after the block, also of a run that did not come to its end."""
    try:
        yield
    except Exception as error:
        if isinstance(error, Diverged) and error.learnt and is_chief(strategy):
            log.warning("start anew with a smaller learning rate: %s", command_anew(run))
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
