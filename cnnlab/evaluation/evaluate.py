"""`cnnlab eval`: load → predict → report."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.config.flat import flat
from cnnlab.data.classes import align_classes, list_names
from cnnlab.data.dataset import Dataset, ImageShape, Split
from cnnlab.data.fingerprint import fingerprints
from cnnlab.data.load import load_dataset, load_split
from cnnlab.data.sample import draw
from cnnlab.errors import UserError
from cnnlab.evaluation.describe import describe
from cnnlab.evaluation.judged import (
    class_count,
    load_best,
    load_weights_file,
    require_fit,
    require_probabilities,
    run_classes,
    tell_positions,
)
from cnnlab.evaluation.predictions import predict_views
from cnnlab.evaluation.report import write_report
from cnnlab.evaluation.results import write_results
from cnnlab.models.archive import read_class_names
from cnnlab.runs.files import numbered_folder
from cnnlab.runs.run import Run
from cnnlab.training.devices import configure_runtime

log = logging.getLogger(__name__)

COMPARED = 2000
"""Validation images at most by which test-time views are compared with none, where another split is evaluated."""

_DATA = ("dataset", "root", "split", "tta", "changed")
"""What tells the evaluations of a run apart, in metrics.json."""


def evaluate(config: DictConfig, directory: Path) -> None:
    """Evaluate a run's best model, or weights from a file, on one split; print the figures and where they are.

    Args:
        config: the resolved and validated configuration (conf/eval.yaml).
        directory: of a run, whose results go to RUN/eval/SPLIT/ and into its report (RUN/eval/SPLIT-TTA/ with
            test-time augmentation; RUN/eval/SPLIT-NAME/, or NAME-2, …, on other data than the run's); without
            `config.run`, where the results of the weights go.

    Raises:
        UserError: the data have no such split, or the model does not fit them or cannot be loaded.
    """
    configure_runtime(config.trainer)
    run = Run.open(config.run) if config.run else None
    file = run.best_model if run else Path(config.weights)
    class_names = run_classes(run) if run else read_class_names(file)
    model, dataset = _load(config, run, class_names)
    changed = _changed(config, run) if run else {}
    if run and not changed:
        _tell_other_images(config, run, dataset)
    splits = {config.split: _split(config, dataset, run)}
    if config.tta != "none" and "validation" in dataset.splits:
        splits["validation"] = dataset.splits["validation"]
    dataset = replace(dataset, splits=splits)
    if class_names is None:
        tell_positions(file, dataset)
    else:
        dataset = align_classes(dataset, class_names)
    require_fit(model, dataset)
    split = dataset.splits[config.split]
    log.info("evaluating %d images of %s, split %s", len(split), dataset.name, config.split)
    batch_size = config.batch_size or config.trainer.batch_size
    probabilities, plain = predict_views(model, split.images, batch_size, config.tta)
    require_probabilities(probabilities, file)
    left_out = dataset.left_out.get(config.split, np.array([], int))
    about = {
        "dataset": dataset.name,
        "root": config.data or config.dataset.get("root"),
        "split": config.split,
        "tta": config.tta,
        "changed": changed,
        "model": str(file),
        "left_out": len(left_out),
    }
    _tell_redrawn(config.split, changed)
    folder = _folder(directory, run, about) if run else directory
    title = " · ".join(part for part in (dataset.name, config.split, config.tta) if part != "none")
    positions = np.delete(np.arange(len(split) + len(left_out)), left_out)
    metrics = write_results(folder, split, probabilities, dataset.class_names, title, about, positions)
    if run:
        write_report(run)
    _tell_undefined(split.labels, probabilities.argmax(axis=1), dataset.class_names)
    if config.tta != "none" and (validation := _validation(config, dataset, class_names)):
        _compare_views(config, model, validation, (probabilities, plain))
    _print_table(title, metrics)
    print(folder)


def _load(config: DictConfig, run: Run | None, class_names: tuple[str, ...] | None) -> tuple[keras.Model, Dataset]:
    """The model, and the data with the classes that they name; those of a nameless model are the configuration's."""
    dataset = None
    if config.data is None or (run is None and not config.weights.endswith(".keras")):
        dataset = load_dataset(config.dataset, config.seeds.split, own_classes=class_names is not None)
    model = load_best(run, config.targets) if run else load_weights_file(config, dataset)
    if config.data is not None:
        shape = _image_shape(model, config.dataset.image_shape)
        dataset = load_split(Path(config.data), config.split, shape, class_count(model))
        if class_names is None and len(dataset.class_names) != class_count(model):
            raise UserError(
                f"data={config.data}: has {len(dataset.class_names)} classes, the model {class_count(model)}, and no "
                "class names by which they could be matched"
            )
    return model, dataset


def _image_shape(model: keras.Model, otherwise: ImageShape) -> ImageShape:
    """What a model takes; sides that it leaves open are those of the configuration."""
    height, width, channels = (side or given for side, given in zip(model.input_shape[1:], otherwise, strict=True))
    return height, width, channels


def _split(config: DictConfig, dataset: Dataset, run: Run | None) -> Split:
    if config.split in dataset.splits:
        return dataset.splits[config.split]
    moved = run is not None and config.dataset.get("root") != run.config.dataset.get("root")
    way_on = "; data=DIR, instead of dataset.root, takes all images of class folders" if moved else ""
    found = ", ".join(dataset.splits)
    raise UserError(f"split={config.split}: {dataset.name} has no such split, but {found}{way_on}")


def _changed(config: DictConfig, run: Run) -> dict[str, Any]:
    """The keys, with their values, that make the data others than the run's own."""
    if config.data is not None:
        return {"data": config.data}
    settings = [
        flat({"dataset": OmegaConf.to_container(node.dataset), "seeds": {"split": node.seeds.split}})
        for node in (run.config, config)
    ]
    was, asked = settings
    keys = (was.keys() | asked.keys()) - {"dataset.num_classes"}
    return {key: asked.get(key) for key in sorted(keys) if was.get(key) != asked.get(key)}


def _folder(directory: Path, run: Run, about: Mapping[str, Any]) -> Path:
    """Where results go: those of other data than the run's own do not take the place of any others."""
    parts = [about["split"]] + [about["tta"]] * (about["tta"] != "none")
    if not about["changed"]:
        return directory / "eval" / "-".join(parts)
    moved = "dataset.root" in about["changed"] and about["dataset"] == run.config.dataset.name
    root = Path(about["root"] or "")
    parts.append((root.name if root.is_dir() else root.stem) if moved and about["root"] else about["dataset"])

    def is_same_data(folder: Path) -> bool:
        file = folder / "metrics.json"
        found = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        return all(found.get(key) == about[key] for key in _DATA)

    return numbered_folder(directory / "eval" / "-".join(parts), is_same_data)


def _tell_undefined(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Say which classes the averages leave out, and why."""
    without_image, never_predicted = (
        [
            name
            for name, count in zip(class_names, np.bincount(indices, minlength=len(class_names)), strict=True)
            if not count
        ]
        for indices in (labels, predicted)
    )

    def over(absent: Sequence[str]) -> str:
        return f"over {len(class_names) - len(absent)} of {len(class_names)} classes"

    if without_image == never_predicted and without_image:
        log.warning("averages %s: no image of %s", over(without_image), list_names(without_image))
        return
    if without_image:
        log.warning("recall is averaged %s: no image of %s", over(without_image), list_names(without_image))
    if never_predicted:
        log.warning(
            "precision is averaged %s: nothing was taken for %s", over(never_predicted), list_names(never_predicted)
        )


def _tell_redrawn(split: str, changed: Mapping[str, Any]) -> None:
    """Say so where a split of the run's own images is drawn in another way than for its training."""
    draws = changed.keys() & {"dataset.validation", "dataset.test_fraction", "seeds.split"}
    if draws and changed.keys() == draws and split != "train":
        settings = ", ".join(f"{key}={changed[key]}" for key in sorted(draws))
        log.warning("split=%s: is drawn anew (%s) and may hold images that the run was trained on", split, settings)


def _tell_other_images(config: DictConfig, run: Run, dataset: Dataset) -> None:
    """Say so where the run's own folder or file no longer holds the images that it held for the training."""
    before, now = run.record.get("fingerprints", {}).get(config.split), fingerprints(dataset).get(config.split)
    if before is None or now is None or before == now:
        return
    drawn = {"test": config.dataset.get("test_fraction"), "validation": config.dataset.validation}.get(config.split)
    log.warning(
        "split=%s: no longer the images of the training (then %s, now %s)%s", config.split,
        f"{run.record['data'][config.split]['images']:,}", f"{len(dataset.splits[config.split]):,}",
        "; it is drawn anew and may hold images that the run was trained on" if isinstance(drawn, float) else "",
    )  # fmt: skip


def _validation(config: DictConfig, dataset: Dataset, class_names: tuple[str, ...] | None) -> Split | None:
    """The images by which test-time views are compared with none: of the dataset, or of the run's own beside `data`."""
    if config.data is None:
        return dataset.splits.get("validation")
    if config.run is None or class_names is None:
        return None
    try:
        own = load_dataset(config.dataset, config.seeds.split, own_classes=True)
    except UserError as error:
        log.info("tta=%s: is not compared with none on validation images: %s", config.tta, error)
        return None
    return align_classes(own, class_names).splits.get("validation")


def _compare_views(
    config: DictConfig, model: keras.Model, validation: Split, evaluated: tuple[np.ndarray, np.ndarray]
) -> None:
    """Say so where test-time views lower the accuracy on validation images; the test split has no say in that.

    Args:
        evaluated: the probabilities with and without views on the evaluated split, which may be the validation split.
    """
    if config.split != "validation" or config.data is not None:
        validation = draw(validation, COMPARED, config.seeds.split)
        evaluated = predict_views(model, validation.images, config.batch_size or config.trainer.batch_size, config.tta)
    with_views, without = (float(np.mean(values.argmax(axis=1) == validation.labels)) for values in evaluated)
    if with_views < without:
        log.warning(
            "tta=%s: lowers the accuracy on %s validation images from %.2f %% to %.2f %%; better leave it out",
            config.tta, f"{len(validation):,}", 100 * without, 100 * with_views,
        )  # fmt: skip


def _print_table(title: str, metrics: Mapping[str, Any]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(title))
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for row in describe(metrics):
        table.add_row(*row)
    Console().print(table)
