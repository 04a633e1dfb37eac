"""Weights from the HDF5 files of Keras 1 and 2: whole models, or weights alone. Nothing in them is executed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnlab.errors import UserError, one_line
from cnnlab.models.keras_file import config_nodes
from cnnlab.models.weights.stored_weights import Layout, StoredWeights, layer_of

TOP_LEVEL = "top_level_model_weights"
"""The group of the weights that belong to no layer, but to the model itself."""

FLATTENING = ("Reshape", "Permute")
"""Layers after which the order of a flattened map is anyone's guess."""


def is_legacy(file: Path, where: str) -> bool:
    """Whether an HDF5 file is one of Keras 1 or 2 (or of Keras 3 in their format).

    Args:
        file: to look into.
        where: begins messages, such as "weights=FILE".

    Raises:
        UserError: it is no HDF5 file, or is cut off.
    """
    with _opened(file, where) as content:
        return _layers(content) is not None


def read_legacy_hdf5(file: Path, where: str) -> StoredWeights:
    """Read the arrays of a model in the order of `layer_names` and `weight_names`.

    Of a whole model, `model_config` is read for the layers' arguments, as data: no layer is made from it.

    Args:
        file: HDF5 as Keras 1 and 2 wrote it.
        where: begins messages.

    Raises:
        UserError: the file is no HDF5, no model, damaged, or has a layout that is not known to convert.
    """
    with _opened(file, where) as content:
        group = _layers(content)
        if group is None:
            raise UserError(
                f"{where}: is HDF5, but no model of Keras 1 or 2: has no layer_names; "
                f"Keras 3's own weights must end in .weights.h5 (here: {_inventory(content)})"
            )
        try:
            arrays = _arrays(group, where)
            has_optimizer = "optimizer_weights" in content
            version = _text(_attribute(content, group, "keras_version", "1"))
            backend = _attribute(content, group, "backend", None)
            layers = list(_layer_nodes(json.loads(_text(content.attrs.get("model_config", "null")))))
        except (KeyError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise UserError(f"{where}: damaged, or no model of Keras ({one_line(error)})") from error
    if not arrays:
        raise UserError(f"{where}: holds a model without any weights")
    convolves = any(values.ndim == 4 for values in arrays.values())
    layouts, notes = _layouts(version, None if backend is None else _text(backend), layers, convolves, where)
    lambdas = [_name(layer) for layer in layers if layer["class_name"] == "Lambda"]
    if lambdas:
        notes.append(
            f"has code in its Lambda layer {', '.join(lambdas)}, which is not run: only arrays are read, and what is "
            "computed with them is what model=… says"
        )
    whole = "whole model" if layers else "weights alone"
    return StoredWeights(
        arrays,
        ordered=True,
        layouts=layouts,
        description=f"Keras {version}, {'backend not recorded' if backend is None else _text(backend)}, {whole}",
        settings={_name(layer): _settings(layer["config"]) for layer in layers},
        left_out="the optimizer's state" if has_optimizer else None,
        notes=notes,
    )


def _opened(file: Path, where: str) -> h5py.File:
    try:
        return h5py.File(file)
    except OSError as error:
        reason = "is cut off" if "truncated" in str(error) else "is no HDF5 file, or damaged"
        raise UserError(f"{where}: {reason} (HDF5 says: {error})") from error


def _layers(content: h5py.File) -> h5py.Group | None:
    """The group whose attributes name the layers; None where there is none."""
    for group in (content, content.get("model_weights")):
        if isinstance(group, h5py.Group) and ("layer_names" in group.attrs or "layer_names0" in group.attrs):
            return group
    return None


def _arrays(group: h5py.Group, where: str) -> dict[str, np.ndarray]:
    """All arrays in their order, those of a layer together: of a model inside of another, Keras stores what is trained
    first, and the statistics of its normalisations after that."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for layer in [*_names(group, "layer_names"), *([TOP_LEVEL] if TOP_LEVEL in group else [])]:
        for stored, name in _full_names(layer, _names(group[layer], "weight_names")).items():
            if name in layers.get(layer_of(name), {}):
                name = f"{layer}/{name}"
            if name in layers.setdefault(layer_of(name), {}):
                raise UserError(f"{where}: holds two arrays called {name}")
            layers[layer_of(name)][name] = np.asarray(group[layer][stored])
    return {name: values for arrays in layers.values() for name, values in arrays.items()}


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, which Keras splits into attribute0, attribute1, … where it is long."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    chunks: list[Any] = []
    while f"{attribute}{len(chunks)}" in group.attrs:
        chunks.append(group.attrs[f"{attribute}{len(chunks)}"])
    if not chunks:
        raise KeyError(f"{group.name} has no {attribute}")
    return [_text(name) for chunk in chunks for name in chunk]


def _full_names(layer: str, stored: list[str]) -> dict[str, str]:
    """ "layer/array" for each of a layer's arrays, whatever TensorFlow called the layer.

    They are stored as "conv2d_1/kernel:0" (Keras 2), "convolution2d_1_W" (Keras 1) or "kernel". Those of a model
    inside of another keep the names of its layers.
    """
    plain = {each: each.partition(":")[0] for each in stored}
    inner = {name.rpartition("/")[0] for name in plain.values()}
    if len(inner) > 1:
        return {each: name if "/" in name else f"{layer}/{name}" for each, name in plain.items()}
    leaves = {each: name.rpartition("/")[2].removeprefix(f"{layer}_") for each, name in plain.items()}
    return {each: f"{layer}/{leaf}" for each, leaf in leaves.items()}


def _layouts(
    version: str, backend: str | None, layers: list[dict[str, Any]], convolves: bool, where: str
) -> tuple[tuple[Layout, ...], list[str]]:
    """The layouts that the arrays may have, and what was taken for granted."""
    formats = {_data_format(layer["config"]) for layer in layers if "Conv" in layer["class_name"]} - {None}
    if len(formats) > 1:
        raise UserError(f"{where}: has convolutions with channels first and others with channels last")
    if "channels_first" in formats:
        _require_plain_flattening(layers, where)
    theano = backend == "theano"
    if version.startswith("1") and (formats or convolves):
        first = Layout(transposed=True, flipped=backend in (None, "theano"), channels_first=True)
        last = Layout(flipped=theano)
        if formats:
            return (first if "channels_first" in formats else last,), []
        return ((last, first) if backend == "tensorflow" else (first, last)), []
    flattened = {layer["config"].get("data_format") for layer in layers if layer["class_name"] == "Flatten"}
    channels_first = "channels_first" in formats
    if channels_first and len(flattened) > 1:
        raise UserError(f"{where}: flattens maps in more than one order")
    # a Flatten layer that knows of channels first brings them to the end itself
    layout = Layout(flipped=theano, channels_first=channels_first and flattened != {"channels_first"})
    unknown = "does not say whether its images and maps had the channels first; taken for channels last"
    return (layout,), [unknown] if not formats and (theano or version.startswith("1")) else []


def _require_plain_flattening(layers: list[dict[str, Any]], where: str) -> None:
    for layer in layers:
        if layer["class_name"] in FLATTENING:
            raise UserError(
                f"{where}: has the channels first and a {layer['class_name']} layer, {_name(layer)}; the order that "
                "its dense layers need is not known"
            )


def _layer_nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All nodes of a model's configuration that describe a layer, also those inside of others, in order."""
    for node in config_nodes(value):
        if isinstance(node.get("class_name"), str) and isinstance(node.get("config"), dict):
            yield node


def _name(layer: dict[str, Any]) -> str:
    return str(layer["config"].get("name", layer["class_name"]))


def _data_format(config: dict[str, Any]) -> str | None:
    """channels_first or channels_last; Keras 1 calls them th and tf."""
    ordering = config.get("dim_ordering")
    return {"th": "channels_first", "tf": "channels_last"}.get(str(ordering), config.get("data_format"))


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments that change what a layer computes with its arrays, as Keras 3 calls and writes them."""
    named = {
        "padding": config.get("padding", config.get("border_mode")),
        "strides": config.get("strides", config.get("subsample")),
        "dilation_rate": config.get("dilation_rate", config.get("atrous_rate")),
        "epsilon": config.get("epsilon"),
    }
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in named.items() if value is not None
    }


def _attribute(content: h5py.File, group: h5py.Group, name: str, otherwise: str | None) -> Any:
    return group.attrs.get(name, content.attrs.get(name, otherwise))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _inventory(content: h5py.File) -> str:
    names = sorted(content)
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") or "nothing"
