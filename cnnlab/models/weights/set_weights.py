"""Setting a network's variables to what another version, or another library, stored."""

import logging
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.errors import UserError
from cnnlab.models.graph import finalize_state
from cnnlab.models.weights.flatten_order import MapShape, flattened_maps, reordered
from cnnlab.models.weights.pairing import Pairing, pair_weights
from cnnlab.models.weights.settings import differing_settings, owners, padded_otherwise
from cnnlab.models.weights.stored_weights import Layout, StoredWeights

log = logging.getLogger(__name__)


def set_weights(
    stored: StoredWeights,
    network: keras.Model,
    where: str,
    mapping: Mapping[str, str | None],
    head: Sequence[keras.Layer] = (),
) -> None:
    """Set a network's variables from a file's arrays, all or none, and print which is which to stderr.

    Args:
        stored: what the file holds.
        network: functional; its variables are set.
        where: begins messages, such as "weights=FILE".
        mapping: see `pair_weights`.
        head: layers that stay as they are.

    Raises:
        UserError: the arrays do not fit, could be swapped, or cannot be converted.
    """
    pairing = pair_weights(stored, network, where, mapping, [weight for layer in head for weight in layer.weights])
    layers = owners(network)
    maps = flattened_maps(network, where) if pairing.layout.channels_first else {}
    converted = []
    for name, variable in pairing.pairs:
        layer = layers[variable.path]
        values, changes = _convert(
            stored.arrays[name], pairing.layout, layer, maps.get(variable.path), f"{where}: {name}"
        )
        converted.append((values, changes))
    _print(stored, pairing, [changes for _, changes in converted])
    for (values, _), (_, variable) in zip(converted, pairing.pairs, strict=True):
        variable.assign(values)
    finalize_state(network)
    _tell(stored, pairing, network, where)


def _convert(
    values: np.ndarray, layout: Layout, layer: keras.Layer, flattened: MapShape | None, where: str
) -> tuple[np.ndarray, list[str]]:
    """An array as the layer needs it, and what was done to it."""
    changes = []
    if values.ndim == 4 and (layout.transposed or layout.flipped):
        if not isinstance(layer, keras.layers.Conv2D):
            raise UserError(f"{where}: a kernel for {type(layer).__name__} in Theano's layout cannot be converted")
        values = layout.kernel(values)
        changes = [what for what, done in (("transposed", layout.transposed), ("flipped", layout.flipped)) if done]
    if flattened is not None:
        values = reordered(values, flattened)
        changes.append("rows reordered")
    if values.dtype != np.float32 and values.dtype.kind != "i":
        changes.append(f"from {values.dtype}")
    return values, changes


def _print(stored: StoredWeights, pairing: Pairing, changes: Sequence[Sequence[str]]) -> None:
    table = Table(box=SIMPLE_HEAD, title=f"Weights: {stored.description}", title_justify="left")
    for header in ("in the file", "shape", "in the network", "shape"):
        table.add_column(header, overflow="fold")
    if any(changes):
        table.add_column("converted")
    for (name, variable), each in zip(pairing.pairs, changes, strict=True):
        shapes = (_by(stored.arrays[name].shape), _by(variable.shape))
        table.add_row(name, shapes[0], variable.path, shapes[1], *([", ".join(each)] if any(changes) else []))
    Console(stderr=True).print(table)


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _tell(stored: StoredWeights, pairing: Pairing, network: keras.Model, where: str) -> None:
    left_out = [*pairing.left_out, *([stored.left_out] if stored.left_out else [])]
    log.info(
        "%s: arrays for %d variables, from %s%s", where, len(pairing.pairs), stored.description,
        f"; left out: {', '.join(left_out)}" if left_out else "",
    )  # fmt: skip
    shifted = padded_otherwise(network) if pairing.layout.flipped else []
    if shifted:
        log.warning(
            "%s: where strides leave a rest, Theano pads all sides, TensorFlow the end only: the windows of %s may "
            "lie a pixel off those that it was trained with",
            where, ", ".join(shifted),
        )  # fmt: skip
    for note in stored.notes:
        log.warning("%s: %s", where, note)
    for difference in differing_settings(stored.settings, pairing.pairs, owners(network)):
        log.warning("%s: %s; set model=… as it was trained", where, difference)
