"""The model and the images that `eval` brings together, and where their results go."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from omegaconf import DictConfig, OmegaConf

from cnnlab.config.flat import flat
from cnnlab.config.schema import TABLE_FORMAT
from cnnlab.config.tta import parse_views
from cnnlab.data.classes import classes_of_model
from cnnlab.data.dataset import Dataset, ImageShape, Split
from cnnlab.data.fingerprint import fingerprints
from cnnlab.data.load import load_dataset, load_split
from cnnlab.errors import UserError
from cnnlab.evaluation.load_model import class_count, load_best, load_weights_file, require_fit
from cnnlab.models.weights.load_weights import reader_of
from cnnlab.runs.files import numbered_folder
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

_DATA = ("dataset", "root", "split", "tta", "backend", "changed")
"""What tells the evaluations of a run apart, in metrics.json."""

_DRAWS = {"seeds.split", *(f"dataset.{key}" for key in ("validation", "test_fraction", "folds", "fold"))}
"""What a split that is drawn depends on."""


def prepare(
    config: DictConfig,
    run: Run | None,
    file: Path,
    class_names: tuple[str, ...] | None,
    model: keras.Model | None = None,
) -> tuple[keras.Model, Dataset, dict[str, Any]]:
    """The model, the images it is evaluated on, their classes in its order, and how they differ from the run's.

    Args:
        config: of `eval`.
        run: whose best model it is, if any.
        file: of the model.
        class_names: of the model, where it names any.
        model: in the place of the run's best.

    Returns:
        The model; the data with `config.split`, and with test-time augmentation their validation split; see
        `changed_settings`.

    Raises:
        UserError: the data have no such split, or the model does not fit them or cannot be loaded.
    """
    model, dataset = _load_model_and_data(config, run, class_names, model)
    changed = changed_settings(config, run) if run else {}
    if run and not changed:
        _tell_other_images(config, run, dataset)
    splits = {config.split: _require_split(config, dataset, run)}
    if config.tta != "none" and "validation" in dataset.splits:
        splits["validation"] = dataset.splits["validation"]
    dataset = replace(dataset, splits=splits)
    dataset = classes_of_model(dataset, class_names, file, is_trained_here=run is not None)
    require_fit(model, dataset)
    return model, dataset, changed


def _load_model_and_data(
    config: DictConfig, run: Run | None, class_names: tuple[str, ...] | None, model: keras.Model | None
) -> tuple[keras.Model, Dataset]:
    """The model, and the data with the classes that they name; those of a nameless model are the configuration's."""
    dataset = None
    if run is None:
        reader_of(Path(config.weights), f"weights={config.weights}")  # a wrong name is told before data are read
    if config.data is None or (run is None and not config.weights.endswith(".keras")):
        dataset = load_dataset(config.dataset, config.seeds.split, own_classes=class_names is not None)
    if model is None:
        model = load_best(run, config.targets) if run else load_weights_file(config, dataset)
    if dataset is None or config.data is not None:
        shape = _image_shape(model, config.dataset.image_shape)
        resize = config.dataset.get("resize", "squash")
        stored = config.dataset.get("resize_size")
        table = {key: config.dataset[key] for key in TABLE_FORMAT if key in config.dataset}
        dataset = load_split(Path(config.data), config.split, shape, class_count(model), resize, stored, table)
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


def _require_split(config: DictConfig, dataset: Dataset, run: Run | None) -> Split:
    if config.split in dataset.splits:
        return dataset.splits[config.split]
    moved = run is not None and config.dataset.get("root") != run.config.dataset.get("root")
    way_on = "; data=DIR, instead of dataset.root, takes all images of class folders" if moved else ""
    found = ", ".join(dataset.splits)
    raise UserError(f"split={config.split}: {dataset.name} has no such split, but {found}{way_on}")


def changed_settings(config: DictConfig, run: Run) -> dict[str, Any]:
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


def describe_evaluation(
    config: DictConfig, dataset: str, changed: Mapping[str, Any], model: Path, model_sha256: str | None, left_out: int
) -> dict[str, Any]:
    """What metrics.json says of an evaluation beside its figures.

    Args:
        config: of `eval`.
        dataset: its name.
        changed: see `changed_settings`.
        model: the file.
        model_sha256: of a run's best model, which the file is or was made of.
        left_out: how many images of classes that the model does not know were left out.
    """
    return {
        "dataset": dataset,
        "root": config.data or config.dataset.get("root"),
        "split": config.split,
        "tta": parse_views(config.tta).name,
        "backend": config.backend,
        "changed": dict(changed),
        "model": str(model),
        "model_sha256": model_sha256,
        "left_out": left_out,
    }


def result_folder(directory: Path, run: Run, about: Mapping[str, Any]) -> Path:
    """Where results go: those of other data than the run's own do not take the place of any others."""
    backend = about["backend"] and about["backend"].replace("/", "-")
    parts = [about["split"], *([about["tta"]] if about["tta"] != "none" else []), *([backend] if backend else [])]
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


def tell_redrawn(split: str, changed: Mapping[str, Any]) -> None:
    """Say so where a split of the run's own images is drawn in another way than for its training."""
    draws = changed.keys() & _DRAWS
    if draws and changed.keys() == draws and split != "train":
        settings = ", ".join(f"{key}={changed[key]}" for key in sorted(draws))
        log.warning("split=%s: is drawn anew (%s) and may hold images that the run was trained on", split, settings)


def _tell_other_images(config: DictConfig, run: Run, dataset: Dataset) -> None:
    """Say so where the run's own folder or file no longer holds the images that it held for the training."""
    before, now = run.record.get("fingerprints", {}).get(config.split), fingerprints(dataset).get(config.split)
    if before is None or now is None or before == now:
        return
    folds = config.dataset.get("folds")
    validation = config.dataset.validation if folds is None else 1 / folds
    drawn = {"test": config.dataset.get("test_fraction"), "validation": validation}.get(config.split)
    log.warning(
        "split=%s: no longer the images of the training (then %s, now %s)%s", config.split,
        f"{run.record['data'][config.split]['images']:,}", f"{len(dataset.splits[config.split]):,}",
        "; it is drawn anew and may hold images that the run was trained on" if isinstance(drawn, float) else "",
    )  # fmt: skip
