"""The rules by which a deconvnet passes an activation down to the pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.errors import UserError
from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.visualize.attribution.projection import projector
from cnnlab.visualize.layers import computing_layers

SHAPE = (10, 9, 2)
PIXELS = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
CHANNELS, POSITIONS, VALUES = [1, 0], [[1, 2], [0, 1]], [2.0, 0.5]


def build(*chain, shape=SHAPE) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input(shape)
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x)


def project(network: keras.Model, pixels=PIXELS, layer: str | None = None) -> np.ndarray:
    positions = POSITIONS if len(network.output_shape) == 4 else np.zeros((2, 2))
    project = projector(network, layer or network.layers[-1].name)
    return project(pixels, np.int32(CHANNELS), np.int32(positions), np.float32(VALUES)).numpy()


def activations(network: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """The two chosen activations, each times its value."""
    maps = network(pixels).numpy()
    if maps.ndim == 4:
        maps = np.stack([each[row, column] for each, (row, column) in zip(maps, POSITIONS, strict=True)])
    return np.array(VALUES) * maps[[0, 1], CHANNELS]


def central_differences(network: keras.Model, pixels: np.ndarray, step: float) -> np.ndarray:
    slopes = np.zeros_like(pixels)
    for place in np.ndindex(pixels.shape[1:]):
        moved = [pixels.copy(), pixels.copy()]
        for each, sign in zip(moved, (1, -1), strict=True):
            each[:, *place] += sign * step
        slopes[:, *place] = (activations(network, moved[0]) - activations(network, moved[1])) / (2 * step)
    return slopes


def joined() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    y = layers.Concatenate()([x + layers.Conv2D(3, 1)(inputs), layers.Subtract()([x, layers.Dense(3)(inputs)])])
    return keras.Model(inputs, layers.Average()([y, layers.Conv2D(6, 5, padding="same")(inputs)]))


LINEAR = {
    "strided": lambda: build(layers.Conv2D(4, 3, strides=2), layers.Conv2D(3, 2, padding="same")),
    "dilated": lambda: build(layers.Conv2D(4, 3, dilation_rate=2), layers.SeparableConv2D(3, 2)),
    "upwards": lambda: build(layers.Conv2DTranspose(3, 3, strides=2), layers.UpSampling2D(2), layers.Cropping2D(1)),
    "pooled": lambda: build(layers.AveragePooling2D(2), layers.ZeroPadding2D(1), layers.DepthwiseConv2D(3)),
    "dense": lambda: build(layers.Conv2D(3, 3), layers.Flatten(), layers.Dropout(0.5), layers.Dense(4)),
    "means": lambda: build(layers.Conv2D(3, 3), layers.GlobalAveragePooling2D(), layers.Dense(4)),
    "normalised": lambda: build(layers.Rescaling(0.1, 3.0), layers.Conv2D(3, 3), layers.BatchNormalization()),
    "joined": joined,
    "nested": lambda: build(build(layers.Conv2D(3, 3, strides=2)), build(layers.Conv2D(3, 2), shape=(4, 4, 3))),
}


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_network_is_transposed(name):
    """<W x, y> = <x, Wᵀ y>: the activations that are kept, times their values, are pixels times projections."""
    network = LINEAR[name]()
    rng = np.random.default_rng(1)
    network.set_weights([rng.uniform(0.2, 1, weight.shape) for weight in network.get_weights()])
    last = list(computing_layers(network))[-1]
    found = project(network, layer=last)
    offset = activations(network, np.zeros_like(PIXELS))
    expected = activations(network, PIXELS) - offset
    np.testing.assert_allclose((found * PIXELS).sum(axis=(1, 2, 3)), expected, rtol=2e-4, atol=1e-4)
    np.testing.assert_array_equal(found, project(network, np.zeros_like(PIXELS), layer=last))


def test_max_pooling_unpools_by_its_switches():
    network = build(layers.MaxPooling2D(2, name="pool"), shape=(4, 4, 1))
    pixels = np.array([[1, 9, 3, 4], [5, 6, 2, 8], [4, 3, 0, 1], [7, 2, 1, 6]], np.float32)[None, ..., None]
    for position, switch in {(0, 0): (0, 1), (0, 1): (1, 3), (1, 0): (3, 0), (1, 1): (3, 3)}.items():
        found = projector(network, "pool")(pixels, np.int32([0]), np.int32([position]), np.float32([2.5]))
        expected = np.zeros((4, 4))
        expected[switch] = 2.5
        np.testing.assert_array_equal(found[0, ..., 0], expected)


def test_it_is_the_gradient_where_nothing_negative_comes_back():
    """With positive weights a rectifier passes on all it is given, to inputs that are positive too."""
    network = build(
        layers.Conv2D(4, 3, strides=2, activation="relu"),
        layers.ReLU(),
        layers.MaxPooling2D(2, strides=1),
        layers.Conv2D(3, 2, padding="same"),
        layers.Activation("relu"),
    )
    rng = np.random.default_rng(2)
    network.set_weights([rng.uniform(0, 0.5, weight.shape) for weight in network.get_weights()])
    pixels = rng.uniform(0.1, 1, PIXELS.shape).astype(np.float32)
    np.testing.assert_allclose(project(network, pixels), central_differences(network, pixels, 1e-3), atol=2e-3)


@pytest.mark.parametrize("weight", [-3.0, 3.0])
def test_a_rectifier_rectifies_what_comes_back_whatever_came_in(weight):
    network = build(layers.ReLU(), layers.Conv2D(1, 1, use_bias=False, name="last"), shape=(1, 1, 1))
    network.set_weights([np.full((1, 1, 1, 1), weight)])
    for pixel in (-1.0, 1.0):
        found = projector(network, "last")(
            np.full((1, 1, 1, 1), pixel, np.float32), np.int32([0]), np.int32([[0, 0]]), np.float32([1])
        )
        assert float(found[0, 0, 0, 0]) == max(weight, 0)


def test_local_response_normalisation_lets_everything_pass():
    convolution, last = layers.Conv2D(4, 3), layers.Conv2D(3, 2)
    with_it = build(convolution, LocalResponseNormalization(alpha=1.0), last)
    without = build(convolution, last)
    assert np.abs(with_it(PIXELS) - without(PIXELS)).max() > 0.1
    np.testing.assert_allclose(project(with_it), project(without), rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (layers.Activation("tanh", name="bend"), "bend (Activation tanh)"),
        (layers.Conv2D(3, 3, activation="gelu", name="bend"), "bend (Conv2D gelu)"),
        (layers.LeakyReLU(name="bend"), "bend (LeakyReLU)"),
        (layers.ReLU(max_value=6, name="bend"), "bend (ReLU)"),
        (layers.LayerNormalization(name="bend"), "bend (LayerNormalization)"),
        (layers.Softmax(name="bend"), "bend (Softmax)"),
    ],
)
def test_what_has_no_rule_is_refused_by_name_only_below_the_chosen_layer(layer, what):
    network = build(layers.Conv2D(3, 3, name="first"), layer, layers.Conv2D(3, 2, name="last"))
    assert np.abs(project(network, layer="first")).max() > 0
    with pytest.raises(UserError) as refusal:
        project(network, layer="last")
    assert what in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_pixels_that_the_layer_does_not_see_get_nothing():
    found = project(build(layers.Conv2D(2, 3)))
    assert np.count_nonzero(found[0]) == np.count_nonzero(found[0, 1:4, 2:5]) == 18
    assert tf.reduce_all(found[1, 3:] == 0)
