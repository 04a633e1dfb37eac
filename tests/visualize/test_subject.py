"""What a method looks into: any network of the project, from float pixels to logits, in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.evaluation.load_model import load_best
from cnnlab.models.network import export
from cnnlab.runs.run import Run
from cnnlab.visualize.attribution.scores import channel_means, class_probabilities, class_scores
from cnnlab.visualize.layers import computing_layers
from cnnlab.visualize.subject import load_subject, pixels_to_logits

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def subject_of(run):
    config = Run.open(run).config
    OmegaConf.set_struct(config, False)
    return load_subject(OmegaConf.merge(config, {"run": str(run)}))


def opened(model: keras.Model) -> keras.Model:
    return pixels_to_logits(model, (8, 8, 1), "weights=FILE")


def a_preprocessing() -> keras.Model:
    images = keras.Input((8, 8, 1), dtype="uint8")
    normalization = layers.Normalization(mean=0.4, variance=0.04, dtype="float32")
    return keras.Model(images, normalization(layers.Rescaling(1 / 255, dtype="float32")(images)), name="preprocessing")


def a_network(units: int) -> keras.Model:
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(units, name="logits")(layers.GlobalAveragePooling2D()(x)), name="network")


def test_a_runs_best_model_is_opened_up(small_run):
    subject = subject_of(small_run)
    probabilities = class_probabilities(subject.network(tf.cast(PIXELS, tf.float32)))
    np.testing.assert_allclose(probabilities, load_best(Run.open(small_run))(PIXELS), atol=1e-5)
    assert subject.image_shape == (8, 8, 1)
    assert subject.class_names == tuple("0123456789")
    assert subject.metadata("a figure", 3)["Seed"] == "3"


@pytest.mark.parametrize("units", [1, 3])
def test_gradients_reach_the_pixels_through_the_preprocessing(units):
    network = opened(export(a_preprocessing(), a_network(units)))
    pixels = tf.cast(PIXELS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        scores = class_scores(network(pixels), tf.zeros(5, tf.int32))
    assert tf.reduce_min(tf.reduce_max(abs(tape.gradient(scores, pixels)), axis=(1, 2, 3))) > 0


def test_a_network_trained_in_bfloat16_is_looked_at_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = export(a_preprocessing(), a_network(3))
    rough = model(PIXELS)
    network = opened(model)
    assert {layer.compute_dtype for layer in computing_layers(network).values()} == {"float32"}
    np.testing.assert_allclose(class_probabilities(network(tf.cast(PIXELS, tf.float32))), rough, atol=0.02)


@pytest.mark.parametrize("head", ["softmax layer", "activation", "fused", "logits"])
def test_a_model_of_another_origin_is_taken_before_its_softmax(head):
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(inputs)
    logits = layers.Dense(3, name="top", activation="softmax" if head == "fused" else None)(x)
    outputs = {
        "softmax layer": lambda: layers.Softmax()(logits),
        "activation": lambda: layers.Activation("softmax")(logits),
    }.get(head, lambda: logits)()
    model = keras.Model(inputs, outputs)
    pixels = tf.cast(PIXELS, tf.float32)
    kernel, bias = model.get_layer("top").get_weights()
    np.testing.assert_allclose(opened(model)(pixels), tf.reshape(pixels, (5, 64)) @ kernel + bias, rtol=1e-4, atol=1e-3)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.dense = layers.Flatten(), layers.Dense(3, activation="softmax")

    def call(self, images):
        return self.dense(self.flatten(images))


def ending_in(ending: str) -> keras.Model:
    if ending == "subclassed":
        model = Subclassed()
        model(PIXELS.astype("float32"))
        return model
    images = keras.Input((8, 8, 1))
    logits = layers.Dense(3)(layers.Flatten()(layers.Rescaling(1 / 255)(images)))
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(3, activation="softmax")])
    return keras.Model(images, keras.ops.softmax(logits) if ending == "operation" else inner(logits))


@pytest.mark.parametrize("ending", ["operation", "nested", "subclassed"])
def test_there_is_no_second_softmax_however_the_first_is_written(ending, caplog):
    model = ending_in(ending)
    pixels = PIXELS.astype("float32")
    probabilities = np.asarray(model(pixels))
    np.testing.assert_allclose(class_probabilities(opened(model)(pixels)), probabilities, rtol=1e-3, atol=1e-6)
    (message,) = caplog.messages
    assert message.startswith("weights=FILE: ends in a softmax, which is ")
    assert message.endswith(": the figures have a softmax")


@pytest.mark.parametrize("nested", [False, True])
def test_gradients_reach_the_pixels_of_a_model_of_whole_numbers(nested):
    images = keras.Input((8, 8, 1), dtype="uint8")
    model = keras.Model(images, layers.Dense(3)(layers.Flatten()(layers.Rescaling(1 / 255)(images))))
    if nested:
        model = keras.Sequential([keras.Input((8, 8, 1)), model])
    expected = np.asarray(model(PIXELS))
    network, pixels = opened(model), tf.cast(PIXELS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logits = network(pixels)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    assert tf.reduce_min(tf.reduce_max(abs(tape.gradient(logits, pixels)), axis=(1, 2, 3))) > 0


def test_the_second_of_two_classes_speaks_for_one_logit_and_the_first_against_it():
    logits = tf.constant([[2.0], [2.0], [-1.0]])
    np.testing.assert_array_equal(class_scores(logits, tf.constant([1, 0, 0])), [2, -2, 1])
    np.testing.assert_allclose(class_probabilities(logits).numpy().sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(class_probabilities(logits)[0, 1], tf.sigmoid(2.0))


def test_a_channels_mean_is_taken_over_all_positions():
    maps = tf.random.stateless_uniform((2, 3, 3, 4), [0, 0])
    np.testing.assert_allclose(
        channel_means(maps, tf.constant([3, 1])), [maps[0, :, :, 3].numpy().mean(), maps[1, :, :, 1].numpy().mean()]
    )


def test_without_a_run_or_weights_there_is_nothing_to_look_into(capsys, tmp_path):
    assert cli.main(["visualize", "method=kernels", f"hydra.run.dir={tmp_path}"]) == 2
    message = capsys.readouterr().err
    assert "method=kernels" in message
    assert "run=RUN" in message


@pytest.mark.parametrize("command", [["visualize", "method=kernels"], ["eval", "data=."]])
def test_a_model_file_that_is_not_there_is_refused(capsys, tmp_path, command):
    absent = tmp_path / "absent.keras"
    assert cli.main([*command, f"weights={absent}", f"hydra.run.dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.strip() == f"error: weights={absent}: no such file"


def test_weights_without_a_run_are_enough(run, tmp_path):
    common = ["visualize", "method=kernels", "input_shape=[8,8,1]", "model.padding=same"]
    weights = f"weights={run / 'model.keras'}"
    assert cli.main([*common, weights, f"hydra.run.dir={tmp_path}"]) == 0
    assert cli.main(["visualize", "method=kernels", f"run={run}"]) == 0
    with (
        np.load(tmp_path / "kernels" / "kernels.npz") as ours,
        np.load(run / "visualize" / "kernels" / "kernels.npz") as runs,
    ):
        assert ours.files == runs.files
        np.testing.assert_array_equal(ours["conv1"], runs["conv1"])


def test_a_dataset_that_does_not_fit_is_refused(small_run):
    config = OmegaConf.merge(Run.open(small_run).config, {"run": str(small_run)})
    config.dataset.image_shape = [6, 6, 1]
    with pytest.raises(UserError, match="the model takes"):
        _ = load_subject(config).dataset
