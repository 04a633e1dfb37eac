"""`cnnlab eval`: load → predict → report."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.data.dataset import Dataset, Split
from cnnlab.data.load import load_dataset
from cnnlab.errors import UserError
from cnnlab.evaluation.describe import describe
from cnnlab.evaluation.judged import load_best, load_weights_file, require_fit, require_probabilities
from cnnlab.evaluation.predictions import predict_probabilities
from cnnlab.evaluation.report import write_report
from cnnlab.evaluation.results import write_results
from cnnlab.runs.run import Run
from cnnlab.training.devices import configure_runtime

log = logging.getLogger(__name__)


def evaluate(config: DictConfig, directory: Path) -> None:
    """Judge a run's best model, or weights from a file, on one split; print the figures and where they are.

    Args:
        config: the resolved and validated configuration (conf/eval.yaml).
        directory: of a run, whose results go to RUN/eval/SPLIT/ and into its report (RUN/eval/SPLIT-TTA/ with
            test-time augmentation, RUN/eval/SPLIT-DATASET/ on another dataset than the run's); without
            `config.run`, where the results of the weights go.

    Raises:
        UserError: the dataset has no such split, or the model does not fit it or cannot be loaded.
    """
    configure_runtime(config.trainer)
    dataset = load_dataset(config.dataset, config.seeds.split)
    split = _split(dataset, config.split)
    run = Run.open(config.run) if config.run else None
    model = load_best(run, config.targets) if run else load_weights_file(config, dataset)
    require_fit(model, dataset)
    log.info("judging %d images of %s, split %s", len(split), dataset.name, config.split)
    batch_size = config.batch_size or config.trainer.batch_size
    probabilities = predict_probabilities(model, split.images, batch_size, config.tta)
    file = run.best_model if run else Path(config.weights)
    require_probabilities(probabilities, file)
    about = {
        "dataset": dataset.name,
        "split": config.split,
        "tta": config.tta,
        "model": str(file),
    }
    other = dataset.name if run and dataset.name != run.config.dataset.name else None
    name = "-".join(part for part in (config.split, config.tta.replace("none", ""), other) if part)
    title = f"{dataset.name} · {name}"
    folder = directory / "eval" / name if run else directory
    metrics = write_results(folder, split, probabilities, dataset.class_names, title, about)
    if run:
        write_report(run)
    _print_table(title, metrics)
    print(folder)


def _split(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        raise UserError(f"split={name}: {dataset.name} has no such split, but {', '.join(dataset.splits)}")
    return dataset.splits[name]


def _print_table(title: str, metrics: Mapping[str, Any]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(title))
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for row in describe(metrics):
        table.add_row(*row)
    Console().print(table)
