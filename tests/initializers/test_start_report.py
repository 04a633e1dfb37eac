"""The start report: what it says is what Keras and NumPy compute."""

import io
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from rich.console import Console

from cnnlab.initializers.start_report import LayerStart, Start, measure_start, print_starts
from cnnlab.models.layers import BatchNormalization

IMAGES = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(4, size=16)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def network(head_initializer: str = "glorot_uniform", units: int = 4) -> keras.Model:
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(6, 3, use_bias=False, name="conv")(inputs)
    x = BatchNormalization(name="bn")(x)
    x = layers.Activation("relu", name="act")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dense(10, activation="relu", bias_initializer=bias_that_kills(3), name="dense")(x)
    return keras.Model(inputs, layers.Dense(units, kernel_initializer=head_initializer, name="logits")(x))


def bias_that_kills(units: int) -> keras.initializers.Initializer:
    return lambda shape, dtype=None: tf.constant([-1e3] * units + [0.0] * (shape[0] - units))


def by_name(start: Start) -> dict[str, LayerStart]:
    return {layer.name: layer for layer in start.layers}


def test_means_and_variances_are_those_of_the_outputs():
    model = network()
    found = by_name(measure_start("x", model, IMAGES, LABELS))
    conv = model.get_layer("conv")(IMAGES).numpy()
    normalised = (conv - conv.mean((0, 1, 2))) / np.sqrt(conv.var((0, 1, 2)) + 1e-3)
    act = np.maximum(normalised, 0)
    dense = act.reshape(16, -1) @ model.get_layer("dense").kernel.numpy() + model.get_layer("dense").bias.numpy()
    logits = np.maximum(dense, 0) @ model.get_layer("logits").kernel.numpy()
    assert list(found) == ["conv", "act", "dense", "logits"]
    for name, values in {"conv": conv, "act": act, "dense": dense, "logits": logits}.items():
        assert found[name].mean == pytest.approx(values.mean(), rel=1e-3, abs=1e-5)
        assert found[name].variance == pytest.approx(values.var(), rel=1e-3)


def test_the_gradient_of_the_logits_is_probability_minus_label():
    model = network()
    start = measure_start("x", model, IMAGES, LABELS)
    outputs = model(IMAGES, training=False).numpy()
    model.get_layer("bn").trainable = False  # so that its moving statistics count, as in Keras's call above
    frozen = measure_start("x", model, IMAGES, LABELS)
    gradients = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True) - np.eye(4)[LABELS]
    assert by_name(frozen)["logits"].gradient_variance == pytest.approx(gradients.var(), rel=1e-4)
    assert by_name(start)["logits"].gradient_variance != pytest.approx(gradients.var(), rel=1e-4)


def test_gradients_are_those_of_keras():
    model = network()
    found = by_name(measure_start("x", model, IMAGES, LABELS))
    head = keras.Sequential(model.layers[model.layers.index(model.get_layer("bn")) + 1 :])
    conv = model.get_layer("conv")(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(conv)
        logits = head(keras.ops.nn.batch_normalization(conv, *tf.nn.moments(conv, (0, 1, 2)), axis=-1, epsilon=1e-3))
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits))
    assert found["conv"].gradient_variance == pytest.approx(np.var(tape.gradient(loss, conv)), rel=1e-3)


def test_dead_units_are_counted_after_activations_alone():
    found = by_name(measure_start("x", network(), IMAGES, LABELS))
    assert found["dense"].dead == pytest.approx(0.3)
    assert found["act"].dead == 0  # normalised: every channel is positive somewhere
    assert found["conv"].dead is found["logits"].dead is None


@pytest.mark.parametrize("units", [4, 1], ids=["softmax", "sigmoid"])
def test_without_weights_in_the_head_the_first_loss_is_that_of_chance(units):
    start = measure_start("x", network("zeros", units), IMAGES, np.minimum(LABELS, max(units, 2) - 1))
    assert start.loss == pytest.approx(start.chance_loss, rel=1e-6)
    assert start.chance_loss == math.log(max(units, 2))


def test_nothing_of_the_network_changes():
    model = network()
    before = model.get_weights()
    measure_start("x", model, IMAGES, LABELS)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.get_layer("dense").activation is keras.activations.relu


def test_auxiliary_heads_count_for_nothing():
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Flatten()(inputs)
    model = keras.Model(inputs, [layers.Dense(4, name="logits")(x), layers.Dense(4, name="auxiliary")(x)])
    found = by_name(measure_start("x", model, IMAGES, LABELS))
    assert found["logits"].gradient_variance > 0
    assert found["auxiliary"].gradient_variance is None


def test_precision_changes_nothing():
    full = measure_start("x", network(), IMAGES, LABELS)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = network()
    finally:
        keras.config.set_dtype_policy("float32")
    assert measure_start("x", mixed, IMAGES, LABELS) == full


@pytest.mark.parametrize("width", [80, 200])
def test_no_number_is_cut(width):
    starts = [measure_start(name, network(), IMAGES, LABELS) for name in ("glorot_normal", "truncated_normal")]
    stream = io.StringIO()
    print_starts(starts, Console(file=stream, width=width))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in stream.getvalue()
    (row,) = (line.split() for line in lines if line.split()[:2] == ["dense", "glorot_normal"])
    assert row[-1] == "30.0%"
    assert f"first loss: glorot_normal {starts[0].loss:.4f}" in stream.getvalue().replace("\n", " ")
