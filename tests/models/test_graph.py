"""The walk through a graph: Keras's own results, in order, without holding on to what is no longer needed."""

import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.models.graph import in_float32, linear, run_graph

IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def as_it_is(operation, inputs, compute):
    return compute()


def branches() -> keras.Model:
    """A shared layer, nested models, an operation, several inputs to one layer, several outputs."""
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="inner")])
    shared = layers.Conv2D(3, 1, name="shared")
    inputs = keras.Input((8, 8, 3))
    x = shared(inputs) + inner(shared(keras.ops.relu(inputs)))
    y = layers.Concatenate(name="join")([x, inputs])
    return keras.Model(inputs, [layers.Flatten(name="flat")(y), x])


def test_outputs_are_those_of_the_model():
    network = branches()
    for ours, kerass in zip(run_graph(network, IMAGES, as_it_is), network(IMAGES), strict=True):
        np.testing.assert_allclose(ours, kerass, rtol=1e-5, atol=1e-6)


def test_every_use_of_a_layer_is_visited_after_what_it_reads():
    visited = []

    def visit(operation, inputs, compute):
        visited.append(operation.name)
        return compute()

    run_graph(branches(), IMAGES, visit)
    assert visited.count("shared") == 2
    assert visited.index("shared") < visited.index("inner") < visited.index("join") < visited.index("flat")


def test_what_a_visit_returns_is_passed_on():
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, layers.Flatten()(layers.ReLU(name="act")(inputs)))
    outputs = run_graph(
        network, IMAGES, lambda operation, _, compute: compute() * (2 if operation.name == "act" else 1)
    )
    np.testing.assert_array_equal(outputs[0], 2 * np.maximum(IMAGES, 0).reshape(4, -1))


def test_a_tensor_is_released_when_nothing_more_reads_it():
    inputs = x = keras.Input((8, 8, 3))
    for _ in range(6):
        x = layers.ReLU()(x)
    alive, most = [], []

    def visit(operation, inputs, compute):
        output = compute()
        alive.append(weakref.ref(output))
        most.append(sum(reference() is not None for reference in alive))
        return output

    run_graph(keras.Model(inputs, x), IMAGES, visit)
    assert max(most) <= 2  # a layer's input and output


def test_linear_lends_the_activation():
    layer = layers.Dense(5, activation="relu")
    layer(IMAGES)
    with linear(layer) as activation:
        assert tf.reduce_min(layer(IMAGES)) < 0
    assert activation is layer.activation is keras.activations.relu


@pytest.mark.parametrize("layer", [layers.Dense(5), layers.Dense(5, activation=None), layers.Flatten()])
def test_without_an_activation_linear_lends_the_identity(layer):
    with linear(layer) as activation:
        assert activation is keras.activations.linear


def test_float32_is_lent_too_even_through_an_error():
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = branches()
    with in_float32(network):
        assert {output.dtype for output in run_graph(network, IMAGES, as_it_is)} == {tf.float32}
    with pytest.raises(RuntimeError), in_float32(network):
        raise RuntimeError
    assert {layer.dtype_policy.name for layer in network._flatten_layers()} == {"mixed_bfloat16"}
