"""The layers that whiten, against NumPy and scikit-learn."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from cnnlab.models.whitening import PatchWhitening, ZCAWhitening


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


def test_whitened_patches_have_unit_second_moments(rng):
    x = rng.normal(size=(200, 6, 7, 3)) @ (np.eye(3) + 0.3 * rng.normal(size=(3, 3)))
    layer = PatchWhitening(2, epsilon=1e-8)
    layer.build(x.shape)
    layer.adapt(x.astype(np.float32))
    y = np.asarray(layer(x.astype(np.float32)))
    assert y.shape == (200, 5, 6, 24)
    flat = y[..., :12].reshape(-1, 12)
    np.testing.assert_allclose(flat.T @ flat / len(flat), np.eye(12), atol=1e-3)
    np.testing.assert_allclose(y[..., 12:], -y[..., :12], atol=1e-4)


@pytest.mark.parametrize(("channels", "told"), [(1, "whitening: 8 of 12 directions of the patches are empty"), (3, "")])
def test_directions_in_which_patches_do_not_vary_are_told(rng, caplog, channels, told):
    x = rng.random((50, 6, 6, channels)).astype(np.float32) * np.ones(3, np.float32)  # grey, as RGB
    layer = PatchWhitening(2, name="whitening")
    layer.build(x.shape)
    layer.adapt(x)
    assert caplog.text.count("directions") == bool(told)
    assert told in caplog.text


def test_patches_fit_in_batches_as_in_one_array(rng):
    x = rng.random((50, 5, 5, 1)).astype(np.float32)
    kernels = []
    for data in (x, iter([x[:20], x[20:]])):
        layer = PatchWhitening(3)
        layer.build(x.shape)
        layer.adapt(data)
        kernels.append(np.abs(layer.kernel))  # the sign of an eigenvector is arbitrary
    np.testing.assert_allclose(*kernels, rtol=1e-2, atol=1e-2)


def test_patches_are_whitened_in_images_of_any_size():
    assert PatchWhitening(2)(keras.Input((None, 8, 3))).shape == (None, None, 7, 24)


def test_of_whitened_patches_only_the_bias_is_trained(rng):
    layer = PatchWhitening(2, bias_regularizer=keras.regularizers.L2(0.5))
    assert layer(rng.random((2, 4, 4, 3)).astype(np.float32)).shape == (2, 3, 3, 24)
    assert [weight.name for weight in layer.trainable_weights] == ["bias"]
    layer.bias.assign(np.full(24, 2.0))
    assert float(layer.losses[0]) == pytest.approx(0.5 * 24 * 4)


@pytest.mark.parametrize("layer", [PatchWhitening(3, 0.1, keras.regularizers.L2(0.1)), ZCAWhitening(0.3)])
def test_layers_survive_their_configuration(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()
