"""Where gradient, guided backpropagation and deconvnet differ: all against a pass there and back in plain NumPy."""

from collections.abc import Callable
from itertools import combinations

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view

from cnnlab.errors import UserError
from cnnlab.visualize.attribution.gradients import class_gradients
from cnnlab.visualize.attribution.guided import guided_backprop, require_relu
from cnnlab.visualize.attribution.projection import projector

Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(input of a ReLU, what comes back to its output) -> what goes on."""

RULES: dict[str, Rule] = {
    "gradient": lambda x, back: back * (x > 0),
    "guided": lambda x, back: np.maximum(back, 0) * (x > 0),
    "deconvnet": lambda x, back: np.maximum(back, 0),
}


def deconvnet(net: keras.Model, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    count = len(images)
    return projector(net, net.layers[-1].name)(images, classes, tf.zeros((count, 2), tf.int32), tf.ones(count))


METHODS = {"gradient": class_gradients, "guided": guided_backprop, "deconvnet": deconvnet}


def convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(n, H, W, in) -> (n, H - h + 1, W - w + 1, out)."""
    windows = sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nyxchw,hwco->nyxo", windows, kernel) + bias


def convolve_back(back: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width = kernel.shape[:2]
    padded = np.pad(back, [(0, 0), (height - 1,) * 2, (width - 1,) * 2, (0, 0)])
    return convolve(padded, kernel[::-1, ::-1].swapaxes(2, 3), np.zeros(kernel.shape[2]))


def numpy_backward(weights: list[np.ndarray], images: np.ndarray, classes: np.ndarray, rule: Rule) -> np.ndarray:
    """From the logit of each image's class to its pixels through conv, ReLU, conv, ReLU and dense."""
    kernel1, bias1, kernel2, bias2, dense, _ = weights
    first = convolve(images, kernel1, bias1)
    second = convolve(np.maximum(first, 0), kernel2, bias2)
    back = rule(second, dense.T[classes].reshape(second.shape))
    return convolve_back(rule(first, convolve_back(back, kernel2)), kernel1)


def network(form: str) -> keras.Model:
    """The same five steps, the ReLU fused into the convolution, or in one of the forms of its own."""
    relus = {
        "activation layer": lambda: keras.layers.Activation("relu"),
        "ReLU layer": keras.layers.ReLU,
        "operation": lambda: keras.ops.relu,
        "activation function": lambda: keras.activations.relu,
    }
    fused = "relu" if form == "fused" else None
    x = inputs = keras.Input((7, 6, 2))
    for filters in (4, 3):
        x = keras.layers.Conv2D(filters, 3, activation=fused, bias_initializer="random_normal")(x)
        x = x if fused else relus[form]()(x)
    return keras.Model(inputs, keras.layers.Dense(5, bias_initializer="random_normal")(keras.layers.Flatten()(x)))


@pytest.mark.parametrize("form", ["fused", "activation layer", "ReLU layer", "operation", "activation function"])
@pytest.mark.parametrize("rule", RULES)
def test_the_way_back_is_that_of_plain_numpy(rule, form):
    keras.utils.set_random_seed(1)
    net = network(form)
    images = np.random.default_rng(0).normal(size=(4, 7, 6, 2)).astype(np.float32)
    classes = np.array([0, 3, 4, 1], np.int32)
    expected = {name: numpy_backward(net.get_weights(), images, classes, each) for name, each in RULES.items()}
    for one, other in combinations(expected.values(), 2):
        assert np.abs(one - other).max() > 0.1
    found = METHODS[rule](net, tf.constant(images), tf.constant(classes))
    np.testing.assert_allclose(found, expected[rule], rtol=1e-4, atol=1e-6)


def test_other_activations_are_listed_and_operations_of_nested_models_count():
    inputs = keras.Input((7, 6, 2))
    leaky = keras.activations.relu(keras.layers.LeakyReLU(name="leaky")(inputs), negative_slope=0.1)
    inner = keras.Model(inputs, keras.activations.gelu(leaky))
    with pytest.raises(
        UserError, match="has no ReLU to guide through, only gelu, leakyrelu, relu with a slope or threshold; use"
    ):
        require_relu(keras.Sequential([keras.Input((7, 6, 2)), inner]))
    guided = keras.Sequential([keras.Input((7, 6, 2)), keras.Model(inputs, keras.activations.relu(inner(inputs)))])
    assert [each.split()[-1] for each in require_relu(guided)] == ["(leakyrelu)", "threshold)", "(gelu)"]
