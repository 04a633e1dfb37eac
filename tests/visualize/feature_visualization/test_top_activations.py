"""The strongest activations of a dataset in one pass, against sorting all of them."""

import keras
import numpy as np
import pytest
from keras import layers

from cnnlab.visualize.feature_visualization.top_activations import top_activations
from cnnlab.visualize.layers import layer_outputs

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 9, 7, 3), dtype=np.uint8)
CHANNELS = {"conv": [4, 0, 2], "inner": [1], "dense": [2, 3]}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    inner_inputs = keras.Input((4, 3, 6))
    inner = keras.Model(inner_inputs, layers.Conv2D(2, 2, name="inner")(inner_inputs))
    inputs = keras.Input((9, 7, 3))
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, layers.Dense(4, name="dense")(layers.Flatten()(inner(x))))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_they_are_those_of_a_search_through_everything(network, size):
    batches = [IMAGES[start : start + size] for start in range(0, len(IMAGES), size)]
    found = top_activations(network, CHANNELS, batches, top=5)
    outputs, _ = layer_outputs(network, list(CHANNELS))(IMAGES.astype(np.float32))
    assert list(found) == list(CHANNELS)
    for name, channels in CHANNELS.items():
        maps = outputs[name].numpy()
        maps = maps.reshape(len(maps), *(maps.shape[1:3] if maps.ndim == 4 else (1, 1)), -1)
        for row, channel in enumerate(channels):
            strongest = maps[..., channel].max(axis=(1, 2))
            order = np.argsort(-strongest, kind="stable")[:5]
            np.testing.assert_array_equal(found[name].images[row], order)
            np.testing.assert_allclose(found[name].values[row], strongest[order], rtol=1e-5)
            for image, (y, x) in zip(order, found[name].positions[row], strict=True):
                assert maps[image, y, x, channel] == strongest[image]


def test_of_equals_the_earlier_come_first(network):
    found = top_activations(network, {"conv": [0]}, [IMAGES[:1].repeat(4, axis=0)] * 3, top=6)["conv"]
    assert found.images[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_maps_that_never_fire_or_never_change_are_dead():
    inputs = keras.Input((4, 4, 1))
    convolution = layers.Conv2D(4, 1, activation="relu", name="conv")
    network = keras.Model(inputs, convolution(inputs))
    convolution.set_weights([np.array([1.0, -1.0, 0.0, 0.0]).reshape(1, 1, 1, 4), np.array([0.0, 0.0, 0.0, 0.7])])
    images = [np.full((1, 4, 4, 1), level, np.uint8) for level in (1, 9, 5)]
    found = top_activations(network, {"conv": [0, 1, 2, 3]}, images, top=2)["conv"]
    assert found.dead.tolist() == [1, 2, 3]
    assert found.constant.tolist() == [False, True, True, True]


def test_a_linear_channel_below_zero_is_not_dead():
    inputs = keras.Input((4, 4, 1))
    network = keras.Model(
        inputs, layers.Conv2D(1, 1, kernel_initializer=lambda *_, **__: -np.ones((1, 1, 1, 1)), name="conv")(inputs)
    )
    found = top_activations(network, {"conv": [0]}, [np.full((1, 4, 4, 1), level, np.uint8) for level in (1, 9)], top=2)
    assert found["conv"].fires.all()
    assert found["conv"].dead.tolist() == []
