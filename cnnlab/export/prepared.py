"""What every format is made of: a run's best model in float32, as one graph."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cnnlab.data.load import load_dataset
from cnnlab.data.sample import sample
from cnnlab.evaluation.load_model import best_model, require_fit, require_one_output, run_classes, tell_unfinished
from cnnlab.models.keras_file import load_model
from cnnlab.runs.files import digest
from cnnlab.runs.run import Run
from cnnlab.runtime.precision import POLICIES

log = logging.getLogger(__name__)

INPUT, OUTPUT = "images", "probabilities"
"""The names of the one input, uint8 (batch, H, W, C), and of the one output, float32 (batch, K or 1)."""

CLASS_NAMES = "class_names"
"""Under this name a file carries the names of its classes, a JSON list in the order of the outputs."""

_LOWER = {*POLICIES, *POLICIES.values()} - {"float32"}


@dataclass(frozen=True)
class Prepared:
    """A model ready to be exported.

    Attributes:
        model: in float32 throughout, its weights those of the run: uint8 (N, H, W, C) to float32 (N, K), or (N, 1) for
            one sigmoid unit, the probability of the second class.
        class_names: in the order of the classes; None where the run's data named none.
        calibration: uint8 (n, H, W, C) training images for int8; none for other precisions.
        images: uint8 (n, H, W, C) on which exported files are compared with the model.
        split: whose images these are.
        model_sha256: of the file that the model was loaded from.
    """

    model: keras.Model
    class_names: tuple[str, ...] | None
    calibration: np.ndarray
    images: np.ndarray
    split: str
    model_sha256: str

    @cached_property
    def serve(self) -> tf.types.experimental.PolymorphicFunction:
        """The model as a function of `INPUT` that returns {`OUTPUT`: …}."""

        def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {OUTPUT: self.model(images, training=False)}

        signature = [tf.TensorSpec(self.model.input_shape, tf.uint8, name=INPUT)]
        return tf.function(serve, input_signature=signature, autograph=False)

    @cached_property
    def frozen(self) -> tf.compat.v1.GraphDef:
        """`serve` as a graph of constants, whose only input is the node `INPUT` and whose output is `OUTPUT`.

        A tensor that a layer holds outside of its variables, as Keras's Normalization does, would be a further input:
        it becomes a constant like the variables.
        """
        function = self.serve.get_concrete_function()
        frozen = convert_variables_to_constants_v2(function)
        graph = frozen.graph.as_graph_def()
        held = {inner.op.name: outer for outer, inner in function.graph.captures if outer.dtype != tf.resource}
        for node in graph.node:
            if node.name in held:
                node.op = "Const"
                node.attr.clear()
                node.attr["dtype"].type = held[node.name].dtype.as_datatype_enum
                node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(held[node.name].numpy()))
        output = graph.node.add(name=OUTPUT, op="Identity", input=[frozen.outputs[0].name])
        output.attr["T"].type = tf.float32.as_datatype_enum
        return graph

    @property
    def class_names_json(self) -> str | None:
        return None if self.class_names is None else json.dumps(list(self.class_names), ensure_ascii=False)


def prepare(run: Run, config: DictConfig) -> Prepared:
    """Load a run's best model in float32, and draw images of the run's data.

    Args:
        run: the run.
        config: conf/export.yaml, with the run's configuration.

    Raises:
        UserError: the run has no best model, it cannot be loaded, or the data are not there or do not fit it.
    """
    path = best_model(run)
    model_sha256 = digest(path)  # before it is loaded: a training that goes on may replace it at any time
    tell_unfinished(run)
    model = _load_in_float32(path, run, config.targets)
    dataset = load_dataset(config.dataset, config.seeds.split)
    require_fit(model, dataset)
    split = "validation" if "validation" in dataset.splits else "train"
    images = sample(dataset.splits[split], config.check_images, config.seed).images
    shown = config.calibration_images if config.precision == "int8" else 0
    calibration = sample(dataset.splits["train"], shown, config.seed).images
    return Prepared(model, run_classes(run), calibration, images, split, model_sha256)


def _load_in_float32(path: Path, run: Run, packages: Sequence[str]) -> keras.Model:
    """A model that was trained in bfloat16 or float16 computes in these inside; its weights are float32 all along.

    It is rebuilt with float32 policies, since other runtimes have these formats for some of the operations only.
    """
    key = f"run={run.path}"
    with TemporaryDirectory() as folder:
        rebuilt = _in_float32(path, Path(folder))
        model = load_model(rebuilt or path, key, packages)
    if rebuilt:
        log.info("%s: was trained in %s and is exported with float32 computations", path, run.record.get("precision"))
    require_one_output(model, key)
    return model


def _in_float32(path: Path, folder: Path) -> Path | None:
    """A copy of a .keras file that computes in float32 throughout; None where it does so itself.

    A damaged file is left for `load_model` to tell.
    """
    try:
        with ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            changed = _with_float32(config)
            if changed == config:
                return None
            copy = folder / path.name
            with ZipFile(copy, "w") as written:
                for name in archive.namelist():
                    text = json.dumps(changed) if name == "config.json" else archive.read(name)
                    written.writestr(name, text)
            return copy
    except (ValueError, OSError, KeyError):
        return None


def _with_float32(node: Any) -> Any:
    """A model's configuration with float32 in place of each lower policy and dtype."""
    if isinstance(node, list):
        return [_with_float32(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") == "DTypePolicy" and node["config"].get("name") in _LOWER:
        return node | {"config": node["config"] | {"name": "float32"}}
    return {
        key: "float32" if key == "dtype" and isinstance(value, str) and value in _LOWER else _with_float32(value)
        for key, value in node.items()
    }
