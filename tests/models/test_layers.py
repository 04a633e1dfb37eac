"""The layers of our own, against NumPy and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnnlab.models.layers import (
    BatchNormalization,
    ChannelSelection,
    GroupedConv2D,
    LocalResponseNormalization,
    NegativeSquaredDistance,
    scaled_tanh,
)


def lrn(x: np.ndarray, radius: int, bias: float, alpha: float, beta: float) -> np.ndarray:
    """The formula of the AlexNet paper, channel by channel."""
    y = np.empty_like(x)
    for channel in range(x.shape[-1]):
        window = x[..., max(0, channel - radius) : channel + radius + 1]
        y[..., channel] = x[..., channel] / (bias + alpha * np.sum(window**2, axis=-1)) ** beta
    return y


@pytest.mark.parametrize(("radius", "bias", "alpha", "beta"), [(2, 2.0, 1e-4, 0.75), (4, 1.0, 0.3, 0.5)])
def test_lrn_follows_the_formula(rng, radius, bias, alpha, beta):
    x = rng.normal(size=(2, 3, 4, 9)).astype(np.float32)
    layer = LocalResponseNormalization(radius, bias, alpha, beta)
    np.testing.assert_allclose(layer(x), lrn(x, radius, bias, alpha, beta), rtol=1e-5)


def test_lrn_computes_in_float32_and_returns_the_precision_of_the_model(rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    x = tf.constant(rng.normal(size=(1, 2, 2, 8)), tf.bfloat16)
    y = LocalResponseNormalization(2, 2.0, 1e-4, 0.75)(x)
    assert y.dtype == "bfloat16"
    expected = lrn(tf.cast(x, tf.float32).numpy(), 2, 2.0, 1e-4, 0.75)
    np.testing.assert_array_equal(y, tf.cast(expected, tf.bfloat16))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_lrn_has_a_gradient(rng, policy):
    layer = LocalResponseNormalization(2, 1.0, 0.1, 0.75, dtype=policy)
    x = tf.Variable(rng.normal(size=(1, 2, 2, 8)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(x), tf.float32))
    gradient = tape.gradient(loss, x).numpy()
    assert np.all(np.isfinite(gradient))
    assert np.all(gradient != 0)


MAPS = (8, 4, 5, 6)


def both_normalisations(policy: str, **arguments) -> tuple[keras.Layer, keras.Layer]:
    layers = keras.layers.BatchNormalization(dtype=policy, **arguments), BatchNormalization(dtype=policy, **arguments)
    for layer in layers:
        layer.build((None, 4, 5, 6))
        layer.set_weights([np.linspace(0.5, 2, 6) + number for number, _ in enumerate(layer.weights)])
    return layers


@pytest.mark.parametrize(
    ("policy", "arguments", "shape"),
    [
        ("float32", {}, MAPS),
        ("float32", {"scale": False}, MAPS),
        ("float32", {"center": False, "momentum": 0.6, "epsilon": 1e-5}, MAPS),
        ("float32", {}, (1, 1, 1, 6)),  # one value per channel
        ("mixed_bfloat16", {}, MAPS),
        ("mixed_float16", {}, MAPS),
        ("mixed_float16", {}, (1, 1, 1, 6)),
    ],
)
def test_batch_normalisation_gives_keras_outputs_gradients_and_statistics(rng, policy, arguments, shape):
    x = tf.constant(rng.normal(3, 2, size=shape), keras.DTypePolicy(policy).compute_dtype)
    direction = tf.constant(rng.normal(size=x.shape), tf.float32)
    results = []
    for layer in both_normalisations(policy, **arguments):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * direction)
        gradients = tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])
        results.append([y, *gradients, *layer.get_weights(), layer(x, training=False)])
    for theirs, ours in zip(*results, strict=True):
        tolerance = 1e-4 if policy == "float32" else 2e-2
        np.testing.assert_allclose(*(tf.cast(part, tf.float32) for part in (ours, theirs)), rtol=1e-3, atol=tolerance)


def test_frozen_batch_normalisation_uses_and_keeps_its_statistics(rng):
    theirs, ours = both_normalisations("float32")
    theirs.trainable = ours.trainable = False
    x = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), rtol=1e-5, atol=1e-5)
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_flat_inputs_are_normalised_as_keras_does(rng):
    x = rng.normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        BatchNormalization()(x, training=True), keras.layers.BatchNormalization()(x, training=True)
    )


def test_a_multiplied_beta_moves_the_output_by_the_square_of_the_multiplier(rng):
    x = tf.constant(rng.normal(size=(8, 4, 4, 2)), tf.float32)
    moves = []
    for multiplier in (1.0, 8.0):
        layer = BatchNormalization(beta_multiplier=multiplier)
        before = layer(x, training=True)
        optimizer = keras.optimizers.SGD(0.01)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=True))
        optimizer.apply([tape.gradient(loss, layer.beta.value)], [layer.beta])
        moves.append(layer(x, training=True) - before)
    np.testing.assert_allclose(moves[1], 64 * moves[0], rtol=1e-3)


def test_a_multiplied_beta_of_flat_inputs_is_refused():
    with pytest.raises(ValueError, match=r"^beta_multiplier needs feature maps .*, not inputs of 2 axes"):
        BatchNormalization(beta_multiplier=8)(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    "layer",
    [
        LocalResponseNormalization(3, 1.5, 0.2, 0.6),
        BatchNormalization(beta_multiplier=8),
        ChannelSelection([1, 1, 0]),
        GroupedConv2D(4, 3, groups=2),
        NegativeSquaredDistance([[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_layers_survive_their_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


def test_channels_are_selected_in_the_order_given_and_may_repeat(rng):
    x = rng.random((2, 3, 4, 5)).astype(np.float32)
    layer = ChannelSelection([4, 0, 0, 2])
    np.testing.assert_array_equal(layer(x), x[..., [4, 0, 0, 2]])
    assert layer.compute_output_shape((None, 3, 4, 5)) == (None, 3, 4, 4)


def test_distances_are_squared_and_negative(rng):
    points = rng.normal(size=(3, 5))
    x = rng.normal(size=(4, 5)).astype(np.float32)
    expected = -((x[:, np.newaxis] - points) ** 2).sum(axis=-1)
    layer = NegativeSquaredDistance(points.tolist())
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5)
    assert layer.compute_output_shape((None, 5)) == (None, 3)
    assert not layer.weights


def test_scaled_tanh_keeps_plus_and_minus_one():
    x = tf.constant([-100.0, -1.0, 0.0, 1.0, 100.0])
    np.testing.assert_allclose(scaled_tanh(x), [-1.7159, -1, 0, 1, 1.7159], atol=1e-4)


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ("float32", {"padding": "same"}),
        ("float32", {"strides": (2, 1)}),
        ("float32", {"dilation_rate": 2}),
        ("mixed_bfloat16", {"padding": "same"}),
    ],
)
def test_grouped_convolutions_are_kerass(rng, policy, options):
    x = rng.normal(size=(2, 9, 8, 6)).astype(np.float32)
    ours, keras_layer = (
        kind(9, 3, groups=3, activation="relu", bias_initializer="ones", dtype=policy, **options)
        for kind in (GroupedConv2D, keras.layers.Conv2D)
    )
    keras_layer.build(x.shape)
    ours.build(x.shape)
    ours.set_weights(keras_layer.get_weights())
    assert ours(x).dtype == keras_layer(x).dtype
    tolerance = 1e-5 if policy == "float32" else 0.05
    np.testing.assert_allclose(tf.cast(ours(x), "float32"), tf.cast(keras_layer(x), "float32"), atol=tolerance)
