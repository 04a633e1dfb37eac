"""Starting from the weights in a file."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import shorten

import h5py
import keras

from cnnlab.config.targets import DEFAULT_PACKAGES
from cnnlab.data.classes import differing_names
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError
from cnnlab.models.graph import finalize_state
from cnnlab.models.keras_file import REASON_LENGTH, load_model, read_class_names
from cnnlab.models.network import take_apart
from cnnlab.models.weights.finite import tell_not_finite
from cnnlab.models.weights.legacy_hdf5 import is_legacy, read_legacy_hdf5
from cnnlab.models.weights.set_weights import set_weights
from cnnlab.models.weights.settings import differing_networks
from cnnlab.models.weights.stored_weights import Misfit, StoredWeights
from cnnlab.models.weights.tf_checkpoint import is_checkpoint, read_tf_checkpoint
from cnnlab.models.weights.weights_map import read_weights_map

NETWORK_WEIGHTS = ".weights.h5"
MODEL = ".keras"
HDF5 = (".h5", ".hdf5")
HEAD_HINT = "train with weights_head=drop, which leaves the last layer as initialised"

log = logging.getLogger(__name__)


def load_weights(
    path: str,
    preprocessing: keras.Model,
    network: keras.Model,
    packages: Sequence[str] = DEFAULT_PACKAGES,
    *,
    drop_head: bool = False,
    weights_map: str | None = None,
) -> None:
    """Set the weights of a network, and the fitted preprocessing they were trained with, from a file.

    Args:
        path: a `.keras` file, either a run's model or the network alone; a `.weights.h5` file of the network
            (`network.save_weights`); HDF5 of Keras 1 or 2; or a TensorFlow checkpoint (see `read_tf_checkpoint`).
            A network alone leaves the preprocessing as it is.
        preprocessing, network: what to set.
        packages: what `targets` names on this command line; see `load_model`.
        drop_head: leave the head (see `head_layers`) as it is, whatever the file holds for it: for other classes.
        weights_map: a YAML file that says which array is which (see `read_weights_map`), for the last two kinds.

    Raises:
        UserError: the file is missing, is of another kind, or was written for another network or other
            preprocessing.
    """
    head = head_layers(network) if drop_head else []
    file = Path(path).expanduser()
    where = f"weights={path}"
    read = reader_of(file, where)
    if read is not None:
        mapping = read_weights_map(Path(weights_map)) if weights_map else {}
        try:
            set_weights(read(file, where), network, where, mapping, head)
        except Misfit as misfit:
            of_classes = any(weight.path in str(misfit) for layer in head_layers(network) for weight in layer.weights)
            raise UserError(f"{misfit}, or {HEAD_HINT}" if of_classes and not head else str(misfit)) from misfit
        tell_not_finite(network, where)
        log.info("%s: holds no preprocessing; images go through model.preprocessing: %s", where, _steps(preprocessing))
    elif weights_map is not None:
        raise UserError(f"weights_map={weights_map}: {file.name} needs none: Keras 3 knows which array is which")
    elif file.name.endswith(NETWORK_WEIGHTS):
        _load_network(file, network, path, head)
        tell_not_finite(network, where)
    else:
        _copy(load_model(file, where, packages), preprocessing, network, path, head)
    if head:
        names = ", ".join(layer.name for layer in head)
        log.info("weights=%s: left out as weights_head=drop says, and as initialised: %s", path, names)


def reader_of(file: Path, where: str) -> Callable[[Path, str], StoredWeights] | None:
    """What reads the arrays of a file; None for the formats that Keras 3 loads by itself.

    Raises:
        UserError: there is no such file, or its name ends as that of no format does.
    """
    if not file.name.endswith((MODEL, *HDF5)) or file.is_dir():
        if is_checkpoint(file):
            return read_tf_checkpoint
        raise UserError(
            f"{where}: must end in {MODEL}, {NETWORK_WEIGHTS}, {' or '.join(HDF5)}, or be a TensorFlow checkpoint"
        )
    if not file.is_file():
        raise UserError(f"{where}: no such file")
    if file.name.endswith(MODEL) or (file.name.endswith(NETWORK_WEIGHTS) and not is_legacy(file, where)):
        return None
    return read_legacy_hdf5


def _steps(preprocessing: keras.Model) -> str:
    """The names of its layers but the input, in one line."""
    return ", ".join(layer.name for layer in preprocessing.layers[1:])


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
    theirs, ours = _stored(file), _saved(network)
    if theirs != ours:  # Keras takes the first layers of a kind, and leaves the others where they are
        raise UserError(
            f"weights={path}: has {theirs} arrays, {network.name} has {ours}; set model=… as it was trained"
        )


def _stored(file: Path) -> int:
    """How many arrays of layers a file of Keras 3 holds, whole numbers left out: counts, and random generators' state.

    A compiled model's optimizer lies beside the layers, or, of a model within, in a group called so.
    """
    arrays: list[str] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        layer, _, rest = name.partition("/")
        if isinstance(item, h5py.Dataset) and layer == "layers" and "optimizer" not in rest.split("/"):
            arrays.extend([name] if item.dtype.kind == "f" else [])

    with h5py.File(file) as content:
        content.visititems(visit)
    return len(arrays)


def _saved(network: keras.Model) -> int:
    """How many of these a network saves."""
    count = 0
    for layer in {id(layer): layer for layer in network._flatten_layers()}.values():
        store: dict[str, keras.Variable] = {}
        layer.save_own_variables(store)
        count += sum("float" in str(values.dtype) for values in store.values())
    return count


def _copy(
    source: keras.Model, preprocessing: keras.Model, network: keras.Model, path: str, head: Sequence[keras.Layer]
) -> None:
    try:
        source_preprocessing, source_network = take_apart(source)
    except ValueError:
        _copy_weights(source, network, path, head)
        return
    theirs, ours = _steps(source_preprocessing), _steps(preprocessing)
    if theirs != ours:
        raise UserError(
            f"weights={path}: was trained with the preprocessing {theirs}, not {ours}; set model.preprocessing alike"
        )
    _copy_weights(source_network, network, path, head)
    _copy_weights(source_preprocessing, preprocessing, path, [])


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
    finalize_state(target)
    for difference in differing_networks(source, target):
        log.warning("weights=%s: %s; set model=… as it was trained", path, difference)


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
