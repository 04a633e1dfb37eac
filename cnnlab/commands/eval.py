"""`cnnlab eval`: load → predict → report."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from cnnlab.evaluation.evaluated_data import describe_evaluation, prepare, result_folder, tell_redrawn
from cnnlab.evaluation.load_model import require_probabilities, run_classes
from cnnlab.evaluation.predictions import predict_views
from cnnlab.evaluation.results import write_results
from cnnlab.evaluation.summary import print_summary, tell_undefined
from cnnlab.evaluation.view_comparison import compare_views, validation_images
from cnnlab.export.backend import load_exported
from cnnlab.metrics.metric_set import build_metrics
from cnnlab.models.keras_file import read_class_names
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.files import digest, require_empty, require_writable
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import configure_runtime

log = logging.getLogger(__name__)


def evaluate(config: DictConfig, directory: Path) -> None:
    """Evaluate as `evaluate_split` does; print the figures and where they are."""
    folder, title, metrics = evaluate_split(config, directory)
    print_summary(title, metrics)
    print(folder)


def evaluate_split(config: DictConfig, directory: Path) -> tuple[Path, str, dict[str, Any]]:
    """Evaluate a run's best model, or weights from a file, on one split.

    Args:
        config: the resolved and validated configuration (conf/eval.yaml).
        directory: of a run, whose results go to RUN/eval/SPLIT/ and into its report (RUN/eval/SPLIT-TTA/ with
            test-time augmentation, RUN/eval/SPLIT-BACKEND/ of an exported file; RUN/eval/SPLIT-NAME/, or NAME-2, …, on
            other data than the run's); without `config.run`, where the results of the weights go.

    Returns:
        The folder of the results, their title, and what its metrics.json says.

    Raises:
        UserError: the data have no such split, or the model does not fit them or cannot be loaded.
    """
    configure_runtime(config.trainer)
    run = Run.open(config.run) if config.run else None
    require_writable(directory) if run else require_empty(directory)
    file = run.best_model if run else Path(config.weights)
    class_names = run_classes(run) if run else read_class_names(file)
    model_sha256 = digest(file) if run else None  # before it is loaded: a training that goes on may replace it
    exported, file = load_exported(run, config.backend) if run and config.backend else (None, file)
    model, dataset, changed = prepare(config, run, file, class_names, exported)
    split = dataset.splits[config.split]
    log.info("evaluating %d images of %s, split %s", len(split), dataset.name, config.split)
    batch_size = config.batch_size or config.trainer.batch_size
    probabilities, plain = predict_views(model, split, batch_size, config.tta)
    require_probabilities(probabilities, file)
    left_out = dataset.left_out.get(config.split, np.array([], int))
    about = describe_evaluation(config, dataset.name, changed, file, model_sha256, len(left_out))
    tell_redrawn(config.split, changed)
    parts = dataset.name, config.split, about["tta"], config.backend
    title = " · ".join(part for part in parts if part not in ("none", None))
    positions = np.delete(np.arange(len(split) + len(left_out)), left_out)
    measured = build_metrics(config.get("metric"), len(dataset.class_names))
    scores = measured.score(split.labels, probabilities, batch_size)
    folder = result_folder(directory, run, about) if run else directory
    metrics = write_results(folder, split, probabilities, dataset.class_names, title, about, positions, scores)
    if run:
        write_report(run)
    measured.tell_absent(config.split, split.labels, dataset.class_names)
    tell_undefined(split.labels, probabilities.argmax(axis=1), dataset.class_names)
    if config.tta != "none" and (validation := validation_images(config, dataset, class_names)):
        compare_views(config, model, validation, (probabilities, plain))
    return folder, title, metrics
