"""LSUV: unit variance everywhere, whatever the graph, from one pass of one batch."""

import logging
import math
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.config.compose import launch
from cnnlab.errors import UserError
from cnnlab.initializers.kernels import kernels_of
from cnnlab.initializers.lsuv import LSUV
from cnnlab.models.layers import BatchNormalization

IMAGES = (3 + 5 * np.random.default_rng(0).normal(size=(64, 12, 12, 3))).astype("float32")


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def lsuv(network: keras.Model, images: np.ndarray = IMAGES, seed: int = 1, **arguments: float) -> keras.Model:
    LSUV(keras.initializers.Orthogonal(), seed=seed, **arguments).apply(network, images)
    return network


def plain() -> keras.Model:
    """Activations inside of layers and outside, pooling, dropout, biases that are not zero."""
    return keras.Sequential(
        [
            keras.Input(IMAGES.shape[1:]),
            layers.Conv2D(16, 3, activation="relu", bias_initializer="ones", name="fused"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", name="conv"),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(40, name="dense"),
        ]
    )


def residual() -> keras.Model:
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    for block in range(3):
        branch = layers.Conv2D(8, 3, padding="same", name=f"block{block}_conv1")(layers.ReLU()(x))
        branch = layers.Conv2D(8, 3, padding="same", name=f"block{block}_conv2")(layers.ReLU()(branch))
        x = x + branch
    return keras.Model(inputs, layers.Dense(50, name="dense")(layers.GlobalAveragePooling2D()(x)))


def inception() -> keras.Model:
    """Branches of different depth, an operation that is no layer, two outputs."""
    inputs = keras.Input(IMAGES.shape[1:])
    short = layers.Conv2D(4, 1, name="short")(inputs)
    long = layers.Conv2D(6, 3, padding="same", name="long")(layers.Conv2D(4, 1, name="reduce")(inputs))
    pooled = layers.Conv2D(4, 1, name="pooled")(layers.AveragePooling2D(3, 1, padding="same")(inputs))
    x = keras.ops.relu(layers.Concatenate()([short, long, pooled]))
    auxiliary = layers.Dense(32, name="auxiliary")(layers.Flatten()(x))
    return keras.Model(inputs, [layers.Conv2D(5, 3, name="last")(x), auxiliary])


def kinds() -> keras.Model:
    """Every kind of kernel."""
    return keras.Sequential(
        [
            keras.Input(IMAGES.shape[1:]),
            layers.Conv2D(8, 3, name="conv"),
            layers.Conv2D(16, 3, groups=4, name="grouped"),
            layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
            layers.SeparableConv2D(12, 3, padding="same", name="separable"),
            layers.Conv2DTranspose(6, 2, strides=2, name="transposed"),
        ]
    )


def normalized() -> keras.Model:
    inputs = keras.Input(IMAGES.shape[1:])
    x = inputs
    for depth, normalization in enumerate((BatchNormalization, layers.BatchNormalization, BatchNormalization)):
        x = normalization()(layers.Conv2D(8, 3, use_bias=False, name=f"conv{depth}")(x))
        x = layers.ReLU()(x)
    return keras.Model(inputs, x)


def nested() -> keras.Model:
    """A functional model inside of a sequential one inside of the network."""
    inner_inputs = keras.Input((None, None, 8))
    inner = keras.Model(inner_inputs, layers.Conv2D(8, 3, name="inner")(layers.ReLU()(inner_inputs)))
    block = keras.Sequential([keras.Input((12, 12, 3)), layers.Conv2D(8, 3, name="middle"), inner])
    inputs = keras.Input(IMAGES.shape[1:])
    return keras.Model(inputs, layers.Conv2D(8, 3, name="outer")(block(inputs)))


def variances(network: keras.Model, images: np.ndarray = IMAGES) -> dict[str, float]:
    """The variance of each kernel layer's output before activation and bias, measured through Keras's own call."""
    found = {}
    walk = [network]
    for model in walk:
        walk += [layer for layer in model.layers if isinstance(layer, keras.Model)]
    for model in walk:
        for layer in model.layers:
            if kernels_of(layer):
                layer.call = recording(layer, layer.call, found)
    network(images, training=any(isinstance(layer, layers.BatchNormalization) for layer in network.layers))
    return found


def recording(layer: keras.Layer, call: Callable, found: dict[str, float]) -> Callable:
    def recorded(inputs: tf.Tensor, **options: bool) -> tf.Tensor:
        activation, layer.activation = layer.activation, None
        output = call(inputs, **options)
        layer.activation = activation
        bias = 0 if layer.bias is None else layer.bias.numpy()
        found.setdefault(layer.name, float(np.var(output.numpy().astype("float64") - bias)))
        return output if activation is None else activation(output)

    return recorded


@pytest.mark.parametrize("build", [plain, residual, inception, kinds, normalized, nested])
def test_every_layer_has_unit_variance(build):
    network = lsuv(build())
    measured = variances(network)
    assert len(measured) >= 3
    assert measured == pytest.approx(dict.fromkeys(measured, 1.0), rel=1e-4)


def test_another_variance_can_be_asked_for():
    measured = variances(lsuv(plain(), variance=0.25))
    assert measured == pytest.approx(dict.fromkeys(measured, 0.25), rel=1e-4)


def test_kernels_are_scaled_orthonormal_matrices():
    network = lsuv(plain())
    for name in ("fused", "conv", "dense"):
        matrix = network.get_layer(name).kernel.numpy()
        matrix = matrix.reshape(-1, matrix.shape[-1])
        gram = matrix.T @ matrix
        np.testing.assert_allclose(gram, np.eye(len(gram)) * gram[0, 0], atol=1e-5 * gram[0, 0])


def test_each_group_is_orthonormal():
    network = lsuv(kinds())
    kernel = network.get_layer("grouped").kernel.numpy()
    grams = [part.T @ part for part in np.split(kernel.reshape(-1, 16), 4, axis=-1)]
    np.testing.assert_allclose(grams, np.stack([np.eye(4) * grams[0][0, 0]] * 4), atol=1e-5 * grams[0][0, 0])


def test_biases_keep_their_values():
    network = lsuv(plain())
    assert (network.get_layer("fused").bias.numpy() == 1).all()
    assert (network.get_layer("conv").bias.numpy() == 0).all()


def test_layers_with_few_outputs_keep_the_models_kernel():
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name="many")(inputs))
    network = keras.Model(inputs, [layers.Dense(31, name="few")(x), layers.Dense(32, name="enough")(x)])
    before = {layer.name: layer.get_weights() for layer in network.layers}
    lsuv(network)
    np.testing.assert_array_equal(network.get_layer("few").kernel, before["few"][0])
    assert (network.get_layer("enough").kernel.numpy() != before["enough"][0]).all()
    assert (network.get_layer("many").kernel.numpy() != before["many"][0]).all()


def test_a_shared_layer_is_scaled_where_it_is_used_first():
    inputs = keras.Input(IMAGES.shape[1:])
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    network = lsuv(keras.Model(inputs, shared(10 * layers.ReLU()(shared(inputs)))))
    assert variances(network)["shared"] == pytest.approx(1, rel=1e-4)


def test_a_dead_layer_is_named_and_left_finite(caplog):
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.ReLU()(layers.Conv2D(4, 3, name="alive")(inputs) - 1e6)
    network = keras.Model(inputs, layers.Conv2D(4, 3, name="below")(x))
    with caplog.at_level(logging.WARNING, "cnnlab"):
        lsuv(network)
    (record,) = caplog.records
    assert record.getMessage() == "lsuv: layer below keeps its orthonormal kernel: its output has σ = 0"
    matrix = network.get_layer("below").kernel.numpy().reshape(-1, 4)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(4), atol=1e-5)


def test_outputs_that_are_not_finite_leave_the_kernel_finite(caplog):
    images = IMAGES.copy()
    images[3, 4, 5, 0] = math.inf
    network = keras.Sequential([keras.Input(IMAGES.shape[1:]), layers.Conv2D(4, 3, name="conv")])
    with caplog.at_level(logging.WARNING, "cnnlab"):
        lsuv(network, images)
    assert "layer conv" in caplog.text
    assert np.isfinite(network.get_layer("conv").kernel).all()


@keras.saving.register_keras_serializable("test")
class Counter(layers.Layer):
    """Counts how often it is called with values."""

    calls = 0

    def call(self, inputs):
        if tf.is_tensor(inputs):
            self.calls += 1
        return inputs


@pytest.mark.parametrize("depth", [1, 6])
def test_the_batch_passes_once_however_deep_the_net_is(depth):
    counters = [Counter() for _ in range(depth)]
    inputs = x = keras.Input(IMAGES.shape[1:])
    for counter in counters:
        x = counter(layers.Conv2D(4, 3, padding="same")(x))
    network = keras.Model(inputs, x)
    for counter in counters:
        counter.calls = 0
    lsuv(network)
    assert [counter.calls for counter in counters] == [1] * depth


def test_moving_statistics_and_training_mode_are_left_alone():
    network = lsuv(normalized())
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            assert (layer.moving_mean.numpy() == 0).all()
            assert (layer.moving_variance.numpy() == 1).all()


def test_a_frozen_layer_is_evaluated_as_it_is():
    network = plain()
    network.get_layer("fused").trainable = False
    before = network.get_layer("fused").get_weights()[0]
    lsuv(network)
    np.testing.assert_array_equal(network.get_layer("fused").kernel, before)
    measured = variances(network)
    assert "fused" not in measured
    assert measured["conv"] == pytest.approx(1, rel=1e-4)


def test_a_frozen_backbone_normalises_by_its_own_statistics():
    """Called with training=False, as the Keras guide to transfer learning does it."""
    backbone = keras.Sequential([keras.Input(IMAGES.shape[1:]), layers.BatchNormalization()])
    backbone.layers[0].moving_variance.assign(np.full(3, 1e4))
    inputs = keras.Input(IMAGES.shape[1:])
    network = keras.Model(inputs, layers.Conv2D(4, 3, name="head")(backbone(inputs, training=False)))
    lsuv(network)
    assert np.var(network(IMAGES)) == pytest.approx(1, rel=1e-4)


def test_a_seed_repeats_to_the_last_bit_and_another_differs():
    first, again, other = (lsuv(residual(), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(one.tobytes() == two.tobytes() for one, two in zip(first, again, strict=True))
    assert (first[0] != other[0]).all()


@pytest.mark.parametrize(
    ("policy", "build"),
    [
        ("mixed_bfloat16", residual),
        ("mixed_bfloat16", normalized),
        ("mixed_bfloat16", nested),
        ("mixed_float16", plain),
    ],
)
def test_every_precision_starts_from_the_same_weights(policy, build):
    full = lsuv(build())
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        mixed = build()
    finally:
        keras.config.set_dtype_policy("float32")
    lsuv(mixed)
    assert {layer.dtype_policy.name for layer in mixed.layers} >= {policy}
    for one, two in zip(full.get_weights(), mixed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_model_saves_and_loads_as_before(tmp_path):
    network = lsuv(residual())
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES[:2]), network(IMAGES[:2]))


@pytest.mark.parametrize("argument", ["variance=0.0", "batch_size=0"])
def test_a_option_out_of_range_is_the_users_mistake(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^initializer\.{argument}: must be"):
        launch("train", ["initializer=lsuv", f"initializer.{argument}"], task=lambda config, directory: None)


def test_kernels_inside_of_a_subclassed_model_are_named_as_left_alone(caplog):
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Conv2D(8, 3, name="inner")

        def call(self, x):
            return self.inner(x)

    images = keras.Input(IMAGES.shape[1:])
    outputs = layers.Conv2D(8, 3, name="outer")(Hidden()(images))
    lsuv(keras.Model(images, outputs))
    (record,) = caplog.records
    assert record.message.startswith("lsuv: inner keep the kernels they were built with: inside of a subclassed model")
