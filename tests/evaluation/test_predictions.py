"""Probabilities of whole splits, with and without test-time augmentation."""

import keras
import numpy as np
import pytest

from cnnlab.data.dataset import ImageFiles, Split
from cnnlab.errors import UserError
from cnnlab.evaluation.predictions import predict_probabilities, predict_views


@pytest.fixture
def images(rng) -> np.ndarray:
    return rng.integers(0, 256, (50, 8, 8, 1), np.uint8)


def of(images: np.ndarray | ImageFiles, squares: np.ndarray | None = None) -> Split:
    return Split(images, np.zeros(len(images), np.int32), squares=squares)


def one_pixel_reader() -> keras.Model:
    """A model of 1×1 images that is certain of the class its pixel names."""
    pixel = keras.Input((1, 1, 1), dtype="uint8")
    return keras.Model(pixel, keras.ops.one_hot(keras.ops.cast(pixel[:, 0, 0, 0], "int32"), 256))


@pytest.mark.parametrize("batch_size", [1, 7, 64, 200, 1000])
def test_every_image_is_classified_exactly_once_and_in_order(batch_size):
    images = np.arange(200, dtype=np.uint8).reshape(200, 1, 1, 1)
    probabilities = predict_probabilities(one_pixel_reader(), of(images), batch_size)
    assert probabilities.shape == (200, 256)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.argmax(axis=1), np.arange(200))


@pytest.mark.parametrize("batch_size", [3, 50])
def test_probabilities_are_those_of_keras(model, images, batch_size):
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(predict_probabilities(model, of(images), batch_size), expected, atol=1e-5)


def test_files_are_streamed_in_order(model, images, save_image, files_of):
    paths = [save_image(f"{index}.png", image) for index, image in enumerate(images)]
    files = files_of(paths, (8, 8, 1))
    expected = predict_probabilities(model, of(images), 16)
    np.testing.assert_allclose(predict_probabilities(model, of(files), 16), expected, atol=1e-5)


def test_a_file_that_was_damaged_since_it_was_checked_is_named(model, images, save_image, files_of):
    good, bad = save_image("good.png", images[0]), save_image("bad.png", images[1])
    files = files_of([good, bad], (8, 8, 1))
    bad.write_bytes(good.read_bytes()[:40])
    with pytest.raises(UserError, match=r"bad\.png: cannot be decoded"):
        predict_probabilities(model, of(files), 16)


def test_one_sigmoid_unit_becomes_two_classes(images):
    inputs = keras.Input((8, 8, 1), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    head = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(flat))
    p = head.predict(images, verbose=0)
    np.testing.assert_allclose(predict_probabilities(head, of(images), 16), np.hstack([1 - p, p]), atol=1e-6)


def test_flip_averages_an_image_and_its_mirror_image(model, images):
    expected = (model.predict(images, verbose=0) + model.predict(images[:, :, ::-1], verbose=0)) / 2
    np.testing.assert_allclose(predict_probabilities(model, of(images), 16, "flip"), expected, atol=1e-5)


def test_flip_shift_averages_six_views(model, images):
    def mirrored(views: np.ndarray) -> np.ndarray:
        return (model.predict(views, verbose=0) + model.predict(views[:, :, ::-1], verbose=0)) / 2

    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    shifted = (mirrored(padded[:, :8, :8]) + mirrored(padded[:, 2:, 2:])) / 2
    expected = (mirrored(images) + shifted) / 2
    np.testing.assert_allclose(predict_probabilities(model, of(images), 16, "flip_shift"), expected, atol=1e-5)


@pytest.mark.parametrize("tta", ["none", "flip", "flip_shift"])
def test_the_images_as_they_are_come_beside_the_average_of_their_views(model, images, tta):
    average, plain = predict_views(model, of(images), 16, tta)
    np.testing.assert_allclose(average, predict_probabilities(model, of(images), 16, tta), atol=1e-6)
    np.testing.assert_allclose(plain, predict_probabilities(model, of(images), 16), atol=1e-6)
