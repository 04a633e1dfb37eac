"""Fixtures for the tests of exported files."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from omegaconf import DictConfig

from cnnlab.config.compose import launch
from cnnlab.data.dataset import Split
from cnnlab.export.check import compare
from cnnlab.export.files import writer
from cnnlab.export.prepared import OUTPUT, Prepared
from cnnlab.models.network import build_network, build_preprocessing, export, fit_network, fit_preprocessing
from cnnlab.runtime.quiet import quiet

IMAGES = 6
SUFFIX = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}


@pytest.fixture
def prepared(tmp_path, monkeypatch) -> Callable[..., Prepared]:
    """`prepared(*overrides)`: the network of a configuration in random weights that all count, and random images."""

    def build(*overrides: str) -> Prepared:
        monkeypatch.chdir(tmp_path)
        configs: list[DictConfig] = []
        launch("inspect", overrides, task=lambda config, _: configs.append(config))
        (config,) = configs
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        shape = tuple(config.input_shape)
        images = (rng.integers(0, 256, (IMAGES, *shape)) * rng.uniform(0.2, 1, (IMAGES, 1, 1, 1))).astype(np.uint8)
        split = Split(images, np.zeros(IMAGES, np.int32))
        preprocessing = build_preprocessing(config.model.preprocessing, shape)
        network = build_network(config.model, shape, config.num_classes, pretrained=False)
        fit_preprocessing(preprocessing, split, 0)
        fit_network(network, preprocessing, split, 0)
        for weight in network.weights:
            moved = np.asarray(weight) + rng.normal(0, 0.03, weight.shape)
            weight.assign(np.abs(moved) if "variance" in weight.path else moved)
        logits = np.asarray(network(preprocessing(images)))
        spread = np.maximum(logits.std(axis=0), 0.1 * np.abs(logits).max())  # else softmax may be saturated
        standardize = keras.layers.Rescaling(
            (1 / spread).tolist(), (-logits.mean(axis=0) / spread).tolist(), name="std"
        )
        network = keras.Model(network.inputs, standardize(network.outputs[0]), name=network.name)
        names = tuple(f"class {index}" for index in range(config.num_classes))
        return Prepared(export(preprocessing, network), names, images, images, "train", "")

    return build


@pytest.fixture
def exported(tmp_path) -> Callable[..., dict[str, float]]:
    """`exported(prepared, format, precision)`: how what the file computes differs from Keras."""

    def call(prepared: Prepared, format: str, precision: str = "float32") -> dict[str, float]:
        path = Path(tmp_path / f"exported{SUFFIX[format]}")
        with quiet():
            writer(format).write(prepared, precision, path)
            function = writer(format).load(path, 1)
        return compare(function, lambda images: prepared.serve(images)[OUTPUT].numpy(), prepared.images)

    return call
