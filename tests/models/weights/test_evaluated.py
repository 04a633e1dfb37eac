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
from cnnlab.models.weights.load_weights import load_weights

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


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """`refused(weights, *arguments)`: the one line that `cnnlab eval` ends with."""

    def evaluate(weights: Path, *arguments: str) -> str:
        assert cli.main(["eval", f"weights={weights}", *DATA, *arguments]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        return line

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


LAYERS = {
    "conv1": "conv1",
    "conv2": "conv2",
    "conv3": "conv3",
    "conv4": "conv4",
    "conv5": "conv5",
    "dense": "dense1",
    "dense_1": "dense2",
    "dense_2": "logits",
}
"""Of the small AlexNet, as `tf.layers` called them, and as cnnlab does."""


def arrays_of(network: keras.Model, layers: Mapping[str, str]) -> dict[str, np.ndarray]:
    names = [(theirs, weight) for theirs, ours in layers.items() for weight in network.get_layer(ours).weights]
    return {f"{theirs}/{weight.name}": weight.numpy() for theirs, weight in names}


def test_a_tensorflow_1_checkpoint_of_the_small_alexnet(write_checkpoint, randomised, evaluated, expected, capsys):
    network = randomised(alexnet_small(SHAPE, 10))
    prefix = write_checkpoint(arrays_of(network, LAYERS), tf.compat.v1.train.AdamOptimizer())
    assert {f"dense_2/kernel/{slot}" for slot in ("Adam", "Adam_1")} <= {
        name for name, _ in tf.train.list_variables(prefix)
    }
    found = evaluated(prefix, "model=alexnet_small")
    told = capsys.readouterr().err
    assert_same(found, expected(network))
    assert "arrays for 16 variables, from TensorFlow checkpoint model.ckpt" in told
    assert "left out: arrays: 32 of an optimizer, 3 of bookkeeping" in told


def test_a_map_decides_what_names_do_not(write_checkpoint, randomised, refused, tmp_path):
    network = randomised(alexnet_small(SHAPE, 10))
    renamed = {{"conv4": "top", "conv5": "bottom"}.get(theirs, theirs): ours for theirs, ours in LAYERS.items()}
    prefix = write_checkpoint(arrays_of(network, renamed))
    (tmp_path / "map.yaml").write_text("top/kernal: conv4/kernel")
    assert "bottom, top have equal shapes" in refused(prefix, "model=alexnet_small")
    told = refused(prefix, "model=alexnet_small", f"weights_map={tmp_path / 'map.yaml'}")
    assert told.endswith("top/kernal: not in the file of weights; did you mean top/kernel?")
    (tmp_path / "map.yaml").write_text("top/kernel: conv4/kernel\ntop/bias: conv4/bias\n")
    filled, preprocessing = alexnet_small(SHAPE, 10), build_preprocessing(OmegaConf.create({"rescaling": True}), SHAPE)
    load_weights(str(prefix), preprocessing, filled, weights_map=str(tmp_path / "map.yaml"))
    for ours, theirs in zip(filled.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


class TestRefusals:
    def test_a_checkpoint_of_another_network(self, write_checkpoint, refused):
        prefix = write_checkpoint(arrays_of(alexnet_small(SHAPE, 10), LAYERS))
        assert refused(prefix, "model=all_cnn_c", "model.last_padding=same").endswith(
            "has 16 arrays, all_cnn_c 18 variables; conv1/kernel has the shape (7, 7, 1, 48), conv1/kernel "
            "(3, 3, 1, 96); set model=… and dataset=… as it was trained"
        )

    def test_hdf5_that_is_cut_off(self, write_hdf5, refused):
        file = write_hdf5([("conv_1", {"kernel": np.zeros((3, 3, 1, 4))})])
        file.write_bytes(file.read_bytes()[:-100])
        assert f"weights={file}: is cut off" in refused(file, "model.padding=same")

    def test_a_folder_without_a_checkpoint(self, refused, tmp_path):
        assert "a folder without a file `checkpoint`, nor any other checkpoint" in refused(
            tmp_path, "model.padding=same"
        )

    def test_a_keras_file_with_a_lambda_layer_is_not_run(self, refused, tmp_path):
        pixels = keras.Input(SHAPE, dtype="uint8")
        keras.Model(pixels, keras.layers.Lambda(lambda x: x[:, 0, :, 0])(pixels)).save(tmp_path / "trick.keras")
        assert "trick.keras cannot be loaded" in refused(tmp_path / "trick.keras")
