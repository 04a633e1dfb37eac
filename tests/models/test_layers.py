"""The layers of our own, against NumPy and scikit-learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.models.whitening import ZCAWhitening


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


def test_whitened_images_have_the_identity_as_covariance(rng):
    mixing = rng.normal(size=(12, 12))
    x = (rng.normal(size=(3000, 12)) @ mixing + 5).reshape(-1, 2, 2, 3).astype(np.float32)
    layer = ZCAWhitening(epsilon=1e-8)
    layer.adapt(x)
    y = np.asarray(layer(x)).reshape(-1, 12)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(12), atol=1e-3)


def test_whitening_is_pca_whitening_rotated_back():
    x = (load_digits().images / 16).astype(np.float32)[..., None]
    x += np.random.default_rng(0).normal(0, 0.1, x.shape)  # so that no direction is without variance
    flat = x.reshape(len(x), -1)
    pca = PCA(whiten=True, svd_solver="full").fit(flat)
    expected = pca.transform(flat) @ pca.components_ * np.sqrt(len(x) / (len(x) - 1))  # PCA divides by N - 1
    layer = ZCAWhitening(epsilon=1e-12)
    layer.adapt(x)
    np.testing.assert_allclose(np.asarray(layer(x)).reshape(expected.shape), expected, atol=1e-3)


def test_epsilon_is_added_to_the_eigenvalues(rng):
    x = (rng.normal(size=(500, 4)) * [1.0, 0.5, 0.1, 0.0]).reshape(-1, 2, 2, 1)
    flat = x.reshape(500, 4) - x.reshape(500, 4).mean(axis=0)
    eigenvalues, vectors = np.linalg.eigh(flat.T @ flat / 500)
    expected = flat @ vectors @ np.diag(1 / np.sqrt(np.maximum(eigenvalues, 0) + 0.01)) @ vectors.T
    layer = ZCAWhitening(epsilon=0.01)
    layer.adapt(x)
    np.testing.assert_allclose(np.asarray(layer(x)).reshape(500, 4), expected, atol=1e-5)


def test_whitening_fits_batches_as_it_fits_one_array(rng):
    x = rng.random((100, 4, 4, 3)).astype(np.float32)
    whole, parts = ZCAWhitening(0.1), ZCAWhitening(0.1)
    whole.adapt(x)
    parts.adapt(iter([x[:30], x[30:31], x[31:]]))
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(parts.matrix, whole.matrix, atol=1e-6)


def test_whitening_changes_nothing_until_it_is_fitted_and_is_never_trained(rng):
    layer = ZCAWhitening(0.1)
    x = rng.random((3, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), x)
    assert not layer.trainable_weights
    assert len(layer.non_trainable_weights) == 2


@pytest.mark.parametrize("layer", [LocalResponseNormalization(3, 1.5, 0.2, 0.6), ZCAWhitening(0.3)])
def test_layers_survive_their_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
