"""What single formats do with what they lack, and with preprocessing that could become further inputs."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from statsmodels.stats.contingency_tables import mcnemar

from cnnlab.compare.exported import difference_interval
from cnnlab.errors import UserError
from cnnlab.export.check import compare, milliseconds, require_tolerance
from cnnlab.export.export import export_format
from cnnlab.export.prepared import OUTPUT, Prepared
from cnnlab.runs.run import Run

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1)).astype(np.uint8)
PREPROCESSING = ["normalization=true", "contrast_normalization=true", "zca_epsilon=0.1"]


class Odd(keras.Layer):
    """Computes what neither ONNX nor LiteRT has."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.special.bessel_i0e(inputs)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_an_operation_that_a_format_lacks_names_the_layer(exported, format):
    images = keras.Input((8, 8, 1), dtype="uint8")
    features = keras.layers.Flatten()(Odd(name="odd")(keras.layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(features))
    with pytest.raises(UserError, match=rf"format={format}: has no operation BesselI0e, which \S*odd\S* needs"):
        exported(Prepared(model, None, IMAGES, IMAGES, "train", ""), format)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_all_preprocessing_is_part_of_the_graph(prepared, exported, format):
    keys = [f"model.preprocessing.{key}" for key in PREPROCESSING]
    ready = prepared("model=mnist_cnn", "input_shape=[8,8,1]", "model.padding=same", "num_classes=4", *keys)
    assert exported(ready, format)["largest_difference"] <= 1e-5


def test_differences_are_measured_per_image():
    theirs = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45]])
    ours = np.array([[0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    tables = {"ours": ours, "theirs": theirs}
    look_up = {name: lambda images, table=table: table[images[:, 0, 0, 0]] for name, table in tables.items()}
    figures = compare(look_up["ours"], look_up["theirs"], np.arange(3).reshape(3, 1, 1, 1))
    assert figures["largest_difference"] == pytest.approx(0.1)
    assert figures["mean_difference"] == pytest.approx(0.3 / 4)  # the first image is looked at once more, alone
    assert figures["equal_predictions"] == pytest.approx(2 / 3)


def test_int8_is_held_to_the_mean_and_values_that_are_no_numbers_to_nothing():
    figures = {"largest_difference": 0.4, "mean_difference": 0.01, "equal_predictions": 0.99}
    require_tolerance(figures, "int8", 0.05, "onnx/int8")
    with pytest.raises(UserError, match=r"onnx/float16: its probabilities differ from Keras's by 0\.4 \(largest"):
        require_tolerance(figures, "float16", 0.02, "onnx/float16")
    with pytest.raises(UserError, match="by nan"):
        require_tolerance(figures | {"mean_difference": float("nan")}, "int8", 0.05, "onnx/int8")


def test_times_are_measured_on_whole_batches():
    sizes = []
    times = milliseconds({"one": lambda images: sizes.append(len(images)), "other": len}, IMAGES, 32)
    assert {*sizes} == {32}
    assert times.keys() == {"one", "other"}


@pytest.mark.parametrize("alone", [(3, 10), (2, 10), (1, 10), (0, 6), (0, 5), (40, 20), (8, 8)])
def test_the_interval_of_a_difference_agrees_with_mcnemars_test(alone):
    low, high = difference_interval(1000, alone, 0.95)
    assert low <= (alone[0] - alone[1]) / 1000 <= high
    assert (low <= 0 <= high) == (mcnemar([[0, alone[0]], [alone[1], 0]], exact=True).pvalue >= 0.05)


def test_one_graph_is_frozen_for_all_formats(prepared):
    ready = prepared("model=mnist_cnn", "input_shape=[8,8,1]", "model.padding=same", "num_classes=4")
    kinds = [node.op for node in ready.frozen.node]
    assert kinds.count("Placeholder") == 1
    assert ready.serve(IMAGES)[OUTPUT].shape == (5, 4)


class Broken(keras.Layer):
    """Computes what LiteRT converts, and can compute of no batch but the one that it was converted with."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.lgamma(inputs + 1)


def test_a_file_that_does_not_run_is_refused_in_one_line(small_run, tmp_path):
    images = keras.Input((8, 8, 1), dtype="uint8")
    features = keras.layers.Flatten()(Broken()(keras.layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(features))
    run = Run.open(shutil.copytree(small_run, tmp_path / "run"))
    with pytest.raises(UserError, match="litert/float32: the file does not run, so it is not kept; its runtime says: "):
        export_format(run, Prepared(model, None, IMAGES, IMAGES, "train", ""), "litert", "float32")
    assert not list((run.path / "export" / "litert").iterdir())
