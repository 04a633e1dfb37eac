"""Old files of weights, evaluated by one command: the same predictions as those of the network they were taken from."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.models.alexnet_small import alexnet_small
from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.network import build_preprocessing, export

SHAPE = (8, 8, 1)
DATA = ["input_shape=[8,8,1]", "trainer.precision=float32"]


@pytest.fixture
def evaluated(tmp_path) -> Callable[..., tuple[float, pd.DataFrame]]:
    """`evaluated(weights, *arguments)`: accuracy and predictions of `cnnlab eval`."""

    def evaluate(weights: Path, *arguments: str) -> tuple[float, pd.DataFrame]:
        folder = tmp_path / f"evaluated-{weights.name}"
        assert cli.main(["eval", f"weights={weights}", *DATA, *arguments, f"hydra.run.dir={folder}"]) == 0
        accuracy = json.loads((folder / "metrics.json").read_text())["accuracy"]
        return accuracy, pd.read_csv(folder / "predictions.csv")

    return evaluate


@pytest.fixture
def expected(tmp_path, evaluated) -> Callable[[keras.Model], tuple[float, pd.DataFrame]]:
    """What `evaluated` finds for the network itself, as a run would have saved it."""

    def evaluate(network: keras.Model) -> tuple[float, pd.DataFrame]:
        preprocessing = build_preprocessing(OmegaConf.create({"rescaling": True}), SHAPE)
        export(preprocessing, network).save(tmp_path / "source.keras")
        return evaluated(tmp_path / "source.keras")

    return evaluate


def assert_same(found: tuple[float, pd.DataFrame], expected: tuple[float, pd.DataFrame]) -> None:
    assert found[0] == expected[0]
    pd.testing.assert_frame_equal(found[1], expected[1])
    assert found[1]["predicted"].nunique() > 1  # else any weights would do


def test_a_keras_2_file_of_all_cnn(write_hdf5, randomised, evaluated, expected, capsys):
    network = randomised(all_cnn_c(SHAPE, 10, last_padding="same"))
    layers: list[tuple[str, Mapping[str, np.ndarray]]] = []
    for number in range(1, 10):
        kernel, bias = network.get_layer(f"conv{number}").get_weights()
        name = f"conv2d_{number}"
        layers.append((name, {f"{name}/kernel:0": kernel, f"{name}/bias:0": bias}))
        layers.append((f"activation_{number}", {}))
    file = write_hdf5([*layers, ("global_average_pooling2d_1", {})])
    found = evaluated(file, "model=all_cnn_c", "model.last_padding=same")
    told = capsys.readouterr().err
    assert_same(found, expected(network))
    rows = [line.split() for line in told.splitlines() if "conv2d_" in line]
    assert rows[0] == ["conv2d_1/kernel", "3x3x1x96", "conv1/kernel", "3x3x1x96"]
    assert rows[-1] == ["conv2d_9/bias", "10", "conv9/bias", "10"]
    assert "holds no preprocessing; images go through model.preprocessing: rescaling" in told


def test_a_tensorflow_1_checkpoint_of_the_small_alexnet(write_checkpoint, randomised, evaluated, expected, capsys):
    network = randomised(alexnet_small(SHAPE, 10))
    arrays = {}
    theirs = ["conv1", "conv2", "conv3", "conv4", "conv5", "dense", "dense_1", "dense_2"]
    ours = ["conv1", "conv2", "conv3", "conv4", "conv5", "dense1", "dense2", "logits"]
    for name, layer in zip(theirs, ours, strict=True):
        kernel, bias = network.get_layer(layer).get_weights()
        arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    prefix = write_checkpoint(arrays, tf.compat.v1.train.AdamOptimizer())
    assert {f"dense_2/kernel/{slot}" for slot in ("Adam", "Adam_1")} <= {
        name for name, _ in tf.train.list_variables(prefix)
    }
    found = evaluated(prefix, "model=alexnet_small")
    told = capsys.readouterr().err
    assert_same(found, expected(network))
    assert (
        "16 arrays of TensorFlow checkpoint model.ckpt; left out: arrays: 32 of an optimizer, 3 of bookkeeping" in told
    )
