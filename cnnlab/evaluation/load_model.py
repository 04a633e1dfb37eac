"""The model that `eval` and `predict` evaluate: a run's best, or one with weights from a file."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from omegaconf import DictConfig

from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.config.types import shown
from cnnlab.data.classes import differing_names
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError
from cnnlab.models.keras_file import load_model, read_class_names
from cnnlab.models.network import build_network, build_preprocessing, export, fit_preprocessing
from cnnlab.models.weights.load_weights import load_weights
from cnnlab.runs.anew import command_anew
from cnnlab.runs.run import Run
from cnnlab.runtime.precision import POLICIES, choose_precision

log = logging.getLogger(__name__)


def load_best(run: Run, packages: Sequence[str] = DEFAULT_PACKAGES) -> keras.Model:
    """Load RUN/model.keras: uint8 images (n, H, W, C) in, probabilities (n, K), or (n, 1) of one sigmoid unit, out.

    Args:
        run: the run.
        packages: what `targets` names on this command line, never what the run names; see `load_model`.

    Raises:
        UserError: the run has none, or the file is damaged.
    """
    path = best_model(run)
    tell_unfinished(run)
    return _load(path, f"run={run.path}", packages)


def tell_unfinished(run: Run) -> None:
    """Say so where the best model is that of a training that has not come to its end."""
    if run.status.name != "completed":
        log.warning("%s: is %s; its best model so far is taken", run.path, run.status.name)


def best_model(run: Run) -> Path:
    """RUN/model.keras.

    Raises:
        UserError: the run has none; the message says why and how it gets one.
    """
    if not run.best_model.is_file():
        status = run.status
        told = ": ".join(filter(None, (status.name, status.reason)))
        if status.name == "diverged":
            hint = f"it cannot be resumed; start anew with a smaller learning rate: {command_anew(run)}"
        elif status.name == "running":
            hint = "it comes with the first validation: wait for it"
        else:
            hint = f"it comes with the first validation: resume with cnnlab train resume={shlex.quote(str(run.path))}"
        raise UserError(f"run={run.path}: has no {run.best_model.name} (status: {told}); {hint}")
    return run.best_model


def run_classes(run: Run) -> tuple[str, ...] | None:
    """The classes of a run's best model, in the order of its outputs; None where the run's data named none.

    The model's own names count, where run.json tells others.
    """
    recorded = run.record.get("class_names")
    own = read_class_names(run.best_model)
    if own is None:
        return None if recorded is None else tuple(recorded)
    if recorded is not None and (difference := differing_names(recorded, own)):
        log.warning("%s: run.json names other classes than its model, whose names count (%s)", run.path, difference)
    return own


def load_weights_file(config: DictConfig, dataset: Dataset | None) -> keras.Model:
    """Make a model of `config.weights`: a .keras file is loaded whole, whatever `model` is composed; files of
    arrays alone fill the composed network, whose preprocessing is fitted on the training split.

    Args:
        config: of the command.
        dataset: what the network is composed for; a .keras file needs none.

    Raises:
        UserError: the file is missing, damaged, or does not fit the composed network.
    """
    path = Path(config.weights)
    if path.suffix == ".keras" and path.is_file():
        return _load(path, f"weights={path}", config.targets)
    if dataset is None:
        raise UserError(f"weights={path}: no such file")
    precision, _ = choose_precision(config.trainer.precision)
    keras.config.set_dtype_policy(POLICIES[precision])
    preprocessing = build_preprocessing(config.model.preprocessing, dataset.image_shape)
    network = build_network(config.model, dataset.image_shape, len(dataset.class_names), pretrained=False)
    fit_preprocessing(preprocessing, dataset.splits["train"], config.seeds.split)
    load_weights(config.weights, preprocessing, network, config.targets, weights_map=config.weights_map)
    return export(preprocessing, network)


def require_fit(model: keras.Model, dataset: Dataset) -> None:
    """Check that a model takes a dataset's images and tells its classes apart.

    Raises:
        UserError: the shapes of the images or the numbers of classes differ.
    """
    shape = model.input_shape[1:]
    if any(side not in (None, ours) for side, ours in zip(shape, dataset.image_shape, strict=True)):
        raise UserError(
            f"dataset={dataset.name}: its images are {list(dataset.image_shape)}, the model takes {list(shape)}; "
            f"set input_shape={shown([*shape])}"
        )
    classes = class_count(model)
    names = len(dataset.class_names)
    if classes != names:
        hint = f"set num_classes={classes}" if classes > names else "choose the dataset it was trained on"
        raise UserError(f"dataset={dataset.name}: has {names} classes, the model {classes}; {hint}")


def class_count(model: keras.Model) -> int:
    """How many classes a model tells apart; one sigmoid unit tells two."""
    return max(2, model.output_shape[-1])


def require_probabilities(values: np.ndarray, path: Path) -> None:
    """Check that the (N, K) outputs of the model in `path` are probabilities.

    Raises:
        UserError: a row has a negative value or NaN, or does not sum to 1.
    """
    bad = np.flatnonzero(~((values >= 0).all(axis=1) & np.isclose(values.sum(axis=1), 1, atol=1e-2)))
    if len(bad):
        raise UserError(
            f"{path}: its outputs are no probabilities: those of image {bad[0]} sum to {values[bad[0]].sum():.4g}; "
            "give a model that ends in softmax or sigmoid, or the network's .weights.h5"
        )


def require_one_output(model: keras.Model, key: str) -> None:
    """Check that a model has no auxiliary heads.

    Args:
        model: loaded.
        key: begins the message, such as "run=RUN".

    Raises:
        UserError: it has several outputs.
    """
    if len(model.outputs) != 1:
        raise UserError(
            f"{key}: has {len(model.outputs)} outputs, as a network with auxiliary heads alone has; "
            "give a run's model.keras, or the network's .weights.h5"
        )


def _load(path: Path, key: str, packages: Sequence[str]) -> keras.Model:
    model = load_model(path, key, packages)
    require_one_output(model, key)
    return model
