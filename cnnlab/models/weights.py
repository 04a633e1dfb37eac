"""Starting from the weights in a file."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import keras

from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.errors import UserError
from cnnlab.models.build import finalize_preprocessing, take_apart
from cnnlab.models.saved import REASON_LENGTH, load_model

NETWORK_WEIGHTS = ".weights.h5"
MODEL = ".keras"


def load_weights(
    path: str, preprocessing: keras.Model, network: keras.Model, packages: Sequence[str] = DEFAULT_PACKAGES
) -> None:
    """Set the weights of a network, and the fitted preprocessing they were trained with, from a file.

    Args:
        path: a `.keras` file, either a run's model or the network alone, or a `.weights.h5` file of the
            network (`network.save_weights`). A network alone leaves the preprocessing as it is.
        preprocessing, network: what to set.
        packages: what `targets` names on this command line; see `load_model`.

    Raises:
        UserError: the file is missing, is of another kind, or was written for another network or other
            preprocessing.
    """
    file = Path(path).expanduser()
    if not file.name.endswith((MODEL, NETWORK_WEIGHTS)):
        raise UserError(f"weights={path}: must end in {MODEL} or {NETWORK_WEIGHTS}")
    if not file.is_file():
        raise UserError(f"weights={path}: no such file")
    if file.name.endswith(NETWORK_WEIGHTS):
        _load_network(file, network, path)
    else:
        _copy(load_model(file, f"weights={path}", packages), preprocessing, network, path)


def _load_network(file: Path, network: keras.Model, path: str) -> None:
    try:
        with warnings.catch_warnings():  # the exception says all
            warnings.simplefilter("ignore", UserWarning)
            network.load_weights(file)
    except (ValueError, TypeError, OSError, KeyError) as error:
        reason = shorten(str(error), REASON_LENGTH, placeholder=" …")
        raise UserError(f"weights={path}: does not fit or is damaged; Keras says: {reason}") from error


def _copy(source: keras.Model, preprocessing: keras.Model, network: keras.Model, path: str) -> None:
    try:
        source_preprocessing, source_network = take_apart(source)
    except ValueError:
        _copy_weights(source, network, path)
        return
    theirs, ours = ([layer.name for layer in part.layers[1:]] for part in (source_preprocessing, preprocessing))
    if theirs != ours:
        raise UserError(
            f"weights={path}: was trained with the preprocessing {', '.join(theirs)}, not {', '.join(ours)}; "
            "set model.preprocessing alike"
        )
    _copy_weights(source_network, network, path)
    _copy_weights(source_preprocessing, preprocessing, path)
    finalize_preprocessing(preprocessing)


def _copy_weights(source: keras.Model, target: keras.Model, path: str) -> None:
    """Copy all weights in order; both models must have the same ones."""
    if len(source.weights) != len(target.weights):
        raise UserError(
            f"weights={path}: has {len(source.weights)} weights, {target.name} has {len(target.weights)}; "
            "set model=… as it was trained"
        )
    for theirs, ours in zip(source.weights, target.weights, strict=True):
        if theirs.shape != ours.shape:
            raise UserError(
                f"weights={path}: {theirs.path} has the shape {tuple(theirs.shape)}, {ours.path} {tuple(ours.shape)}; "
                "set model=… and dataset=… as it was trained"
            )
    target.set_weights(source.get_weights())
