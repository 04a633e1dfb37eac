"""Occlusion: what a network loses when a grey square hides a part of the image."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab import cli
from cnnlab.reporting.figure import COLORS
from cnnlab.visualize.methods.occlusion import GREY, class_colours, slider, symmetric

SHAPE = (12, 16, 1)
PATCH = (slice(6, 9), slice(10, 13))


def network_of_a_patch() -> keras.Model:
    """Two classes; light in the patch is evidence for the second. Channel 1 of `conv` sees light, 0 nothing."""
    inputs = keras.Input(SHAPE)
    conv = layers.Conv2D(2, 1, activation="relu", name="conv")
    dense = layers.Dense(2, name="logits")
    network = keras.Model(inputs, dense(layers.Flatten()(conv(inputs))))
    conv.set_weights([np.array([0.0, 1.0]).reshape(1, 1, 1, 2), np.zeros(2)])
    kernel = np.zeros((*SHAPE[:2], 2, 2), np.float32)
    kernel[(*PATCH, 1, 1)] = 0.01
    dense.set_weights([kernel.reshape(-1, 2), np.array([15.0, 0.0])])
    return network


@pytest.fixture
def image() -> np.ndarray:
    """Light in the patch, dark elsewhere."""
    image = np.zeros(SHAPE, np.uint8)
    image[PATCH] = 255
    return image


def test_a_planted_patch_is_found(image):
    found = slider(network_of_a_patch(), "conv", size=3, stride=1)(image)
    assert found.probabilities.shape == (10, 14, 2)
    assert found.activity.shape == (10, 14)
    assert np.unravel_index(found.probabilities[..., 1].argmin(), (10, 14)) == (6, 10)
    assert found.probabilities[..., 1].max() > 0.99
    assert (found.probabilities.argmax(axis=-1) == 0).any()


def test_values_are_those_of_the_image_with_the_square(image):
    network = network_of_a_patch()
    found = slider(network, "conv", size=4, stride=3)(image)
    hidden = image.astype(np.float32)
    hidden[6:10, 9:13] = GREY  # row 2, column 3
    np.testing.assert_allclose(found.probabilities[2, 3], tf.nn.softmax(network(hidden[np.newaxis]))[0], rtol=1e-4)
    assert found.channel == 1
    np.testing.assert_allclose(found.activity[2, 3], hidden.sum(), rtol=1e-5)
    assert found.whole == pytest.approx(image.sum())
    np.testing.assert_allclose(found.change[2, 3], hidden.sum() / image.sum() - 1, rtol=1e-5)


def test_a_channel_that_is_dead_without_the_square_has_no_change():
    found = slider(network_of_a_patch(), "conv", size=4, stride=4)(np.zeros(SHAPE, np.uint8))
    assert found.whole == 0
    assert np.isnan(found.change).all()


def test_a_channel_that_is_negative_all_over_is_not_dead(image):
    inputs = keras.Input(SHAPE)
    conv = layers.Conv2D(1, 1, name="conv")
    network = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(conv(inputs))))
    conv.set_weights([np.full((1, 1, 1, 1), -1.0), np.zeros(1)])
    found = slider(network, "conv", size=3, stride=1)(image)
    assert found.whole == pytest.approx(-float(image.sum()))
    assert np.unravel_index(found.change.argmax(), found.change.shape) == (6, 10)  # grey over light: less negative
    np.testing.assert_allclose(found.change[6, 10], 1 - GREY / 255, rtol=1e-5)


def test_places_beyond_the_edge_are_left_out(image):
    assert slider(network_of_a_patch(), "conv", size=5, stride=4)(image).activity.shape == (2, 3)


def test_one_scale_holds_for_all_rows():
    norm = symmetric([np.array([[-2.0, 1.0]]), np.array([[5.0, np.nan]]), np.full((1, 2), np.nan)])
    assert (norm.vmin, norm.vmax) == (-5, 5)
    assert symmetric([np.full((1, 2), np.nan)]).vmax == 1


def test_a_class_has_one_colour_in_all_rows_and_the_largest_areas_have_one():
    rows = [np.repeat([3, 8], [9, 1]), np.repeat([8, 3, 5], [7, 1, 2])]
    assert list(class_colours(rows)) == [3, 8, 5]
    assert len(class_colours([np.arange(100)])) == len(COLORS)


def test_figure_and_arrays_come_from_a_run(run, drawn):
    given = ["method=occlusion", "method.images=2", "method.size=2", "method.stride=2", "method.target=label"]
    assert cli.main(["visualize", f"run={run}", *given, "method.layer=conv2_act"]) == 0
    folder = run / "visualize" / "occlusion"
    assert (folder / "occlusion.png").is_file()
    with np.load(folder / "occlusion.npz") as arrays:
        assert arrays["probability"].shape == arrays["activity"].shape == arrays["predicted"].shape == (2, 4, 4)
        assert (arrays["classes"] == arrays["labels"]).all()
        assert arrays["whole_activity"].shape == (2,)
    first, second = (drawn[0].axes[4 * row : 4 * row + 4] for row in range(2))
    for column in (1, 2):
        norms = [row[column].images[-1].norm for row in (first, second)]
        assert norms[0].vmax == norms[1].vmax == -norms[0].vmin == -norms[1].vmin


def test_of_a_file_whose_class_nobody_knows_the_predicted_one_is_explained(run, rng, save_image):
    photo = save_image("photo.png", rng.integers(0, 256, (8, 8, 1), np.uint8))
    assert cli.main(["visualize", f"run={run}", "method=occlusion", f"method.images={photo}", "method.stride=4"]) == 0
    with np.load(run / "visualize" / "occlusion" / "occlusion.npz") as arrays:
        assert arrays["classes"] == arrays["probabilities"].argmax(axis=1)
        assert "labels" not in arrays


def test_a_square_larger_than_the_image_is_refused(run, capsys):
    assert cli.main(["visualize", f"run={run}", "method=occlusion", "method.size=9"]) == 2
    assert "error: method.size=9: the square is larger than the images of 8x8 pixels" in capsys.readouterr().err
