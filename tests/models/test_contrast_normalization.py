"""Global contrast normalisation, against its formula in NumPy."""

import keras
import numpy as np

from cnnlab.models.contrast_normalization import ContrastNormalization


def test_every_image_gets_mean_0_and_the_norm_asked_for(rng):
    images = rng.integers(0, 256, (5, 8, 6, 3)).astype(np.float32)
    flat = images.reshape(5, -1).astype(np.float64)
    centred = flat - flat.mean(axis=1, keepdims=True)
    expected = 55 * centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(np.reshape(ContrastNormalization()(images), (5, -1)), expected, atol=1e-4)


def test_the_unit_of_the_pixels_makes_no_difference(rng):
    images = rng.integers(0, 256, (3, 8, 8, 1)).astype(np.float32)
    layer = ContrastNormalization(scale=2.0)
    np.testing.assert_allclose(layer(images / 255), layer(images), atol=1e-5)


def test_an_image_of_one_colour_becomes_0_and_not_amplified_rounding():
    images = np.stack([np.full((32, 32, 3), value, np.float32) for value in (0, 0.1, 77 / 255, 201)])
    np.testing.assert_array_equal(ContrastNormalization()(images), 0)


def test_the_layer_survives_its_configuration():
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ContrastNormalization(3.0)))
    assert isinstance(copy, ContrastNormalization)
    assert copy.scale == 3.0
