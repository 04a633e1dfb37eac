"""Starting from the weights in a file."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import keras

from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.data.classes import differing_names
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError
from cnnlab.models.archive import read_class_names
from cnnlab.models.network import finalize_preprocessing, take_apart
from cnnlab.models.saved import REASON_LENGTH, load_model

NETWORK_WEIGHTS = ".weights.h5"
MODEL = ".keras"
HEAD_HINT = "train with weights_head=drop, which leaves the last layer as initialised"

log = logging.getLogger(__name__)


def load_weights(
    path: str,
    preprocessing: keras.Model,
    network: keras.Model,
    packages: Sequence[str] = DEFAULT_PACKAGES,
    *,
    drop_head: bool = False,
) -> None:
    """Set the weights of a network, and the fitted preprocessing they were trained with, from a file.

    Args:
        path: a `.keras` file, either a run's model or the network alone, or a `.weights.h5` file of the
            network (`network.save_weights`). A network alone leaves the preprocessing as it is.
        preprocessing, network: what to set.
        packages: what `targets` names on this command line; see `load_model`.
        drop_head: leave the head (see `head_layers`) as it is, whatever the file holds for it: for other classes.

    Raises:
        UserError: the file is missing, is of another kind, or was written for another network or other
            preprocessing.
    """
    head = head_layers(network) if drop_head else []
    file = Path(path).expanduser()
    if not file.name.endswith((MODEL, NETWORK_WEIGHTS)):
        raise UserError(f"weights={path}: must end in {MODEL} or {NETWORK_WEIGHTS}")
    if not file.is_file():
        raise UserError(f"weights={path}: no such file")
    if file.name.endswith(NETWORK_WEIGHTS):
        _load_network(file, network, path, head)
    else:
        _copy(load_model(file, f"weights={path}", packages), preprocessing, network, path, head)
    if head:
        names = ", ".join(layer.name for layer in head)
        log.info("weights=%s: left out as weights_head=drop says, and as initialised: %s", path, names)


def head_layers(network: keras.Model) -> list[keras.Layer]:
    """The layers whose weights depend on the number of classes: from each output back to the first kernel.

    Returns:
        The last layer with a kernel (weights of rank 2 or more) before each output, and the layers with other weights
        that follow it, such as batch normalisation, in the order of the network.
    """
    found: list[keras.Layer] = []
    for output in network.outputs:
        while True:
            layer, node, _ = output._keras_history
            if layer.weights:
                found.append(layer)
            if any(len(weight.shape) > 1 for weight in layer.weights) or not layer._inbound_nodes[node].input_tensors:
                break
            output = layer._inbound_nodes[node].input_tensors[0]
    return [layer for layer in network.layers if layer in found]


def _load_network(file: Path, network: keras.Model, path: str, head: Sequence[keras.Layer]) -> None:
    try:
        with warnings.catch_warnings():  # the exception says all
            warnings.simplefilter("ignore", UserWarning)
            network.load_weights(file, objects_to_skip=list(head))
    except (ValueError, TypeError, OSError, KeyError) as error:
        reason = shorten(str(error), REASON_LENGTH, placeholder=" …")
        is_head = any(f"name={layer.name}," in str(error) for layer in head_layers(network))
        hint = f"; {HEAD_HINT}" if is_head else ""
        raise UserError(f"weights={path}: does not fit or is damaged; Keras says: {reason}{hint}") from error


def _copy(
    source: keras.Model, preprocessing: keras.Model, network: keras.Model, path: str, head: Sequence[keras.Layer]
) -> None:
    try:
        source_preprocessing, source_network = take_apart(source)
    except ValueError:
        _copy_weights(source, network, path, head)
        return
    theirs, ours = ([layer.name for layer in part.layers[1:]] for part in (source_preprocessing, preprocessing))
    if theirs != ours:
        raise UserError(
            f"weights={path}: was trained with the preprocessing {', '.join(theirs)}, not {', '.join(ours)}; "
            "set model.preprocessing alike"
        )
    _copy_weights(source_network, network, path, head)
    _copy_weights(source_preprocessing, preprocessing, path, [])
    finalize_preprocessing(preprocessing)


def _copy_weights(source: keras.Model, target: keras.Model, path: str, head: Sequence[keras.Layer]) -> None:
    """Copy all weights but those of the head in order; both models must have the same ones."""
    if len(source.weights) != len(target.weights):
        raise UserError(
            f"weights={path}: has {len(source.weights)} weights, {target.name} has {len(target.weights)}; "
            "set model=… as it was trained"
        )
    stay = {id(weight) for layer in head for weight in layer.weights}
    of_classes = {id(weight) for layer in head_layers(target) for weight in layer.weights}
    pairs = [pair for pair in zip(source.weights, target.weights, strict=True) if id(pair[1]) not in stay]
    for theirs, ours in pairs:
        if theirs.shape != ours.shape:
            hint = f", or {HEAD_HINT}" if id(ours) in of_classes else ""
            raise UserError(
                f"weights={path}: {theirs.path} has the shape {tuple(theirs.shape)}, {ours.path} {tuple(ours.shape)}; "
                f"set model=… and dataset=… as it was trained{hint}"
            )
    for theirs, ours in pairs:
        ours.assign(theirs)


def tell_other_classes(path: str, dataset: Dataset) -> None:
    """Say so where a file's outputs stand for other classes than the dataset's, or for the same in another order."""
    names = read_class_names(Path(path)) if path.endswith(MODEL) else None
    difference = names and dataset.named and differing_names(names, dataset.class_names)
    if difference:
        log.warning(
            "weights=%s: its outputs stand for other classes than those of %s (%s); weights_head=drop starts with "
            "fresh ones",
            path, dataset.name, difference,
        )  # fmt: skip
