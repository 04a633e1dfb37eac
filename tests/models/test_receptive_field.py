"""Receptive fields, against what gradients say a unit really sees."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cnnlab.models.alexnet import alexnet
from cnnlab.models.googlenet import googlenet
from cnnlab.models.receptive_field import receptive_fields
from cnnlab.models.resnet import resnet
from cnnlab.models.whitening import PatchWhitening

SHAPE = (21, 18, 2)


def build(*chain) -> keras.Model:
    inputs = x = keras.Input(SHAPE)
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x)


def branched() -> keras.Model:
    inputs = keras.Input(SHAPE)
    wide = layers.Conv2D(2, 5, padding="same", strides=2)(inputs)
    narrow = layers.Conv2D(2, 1, strides=2)(inputs)
    pooled = layers.AveragePooling2D(3, strides=2, padding="same")(inputs)
    return keras.Model(inputs, layers.Concatenate()([layers.Add()([wide, narrow]), pooled]))


def squeezed() -> keras.Model:
    inputs = keras.Input(SHAPE)
    weights = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    return keras.Model(inputs, layers.Conv2D(2, 3)(inputs) * layers.Conv2D(2, 1)(weights))


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(2, 3, strides=2, padding="same"), layers.ReLU()])
    return build(layers.Rescaling(2.0), inner, layers.Conv2D(3, 3, padding="same"))


NETWORKS = {
    "valid": lambda: build(layers.Conv2D(2, (3, 2)), layers.Conv2D(2, (2, 5), activation="relu")),
    "same": lambda: build(layers.Conv2D(2, 3, padding="same"), layers.Conv2D(2, (4, 5), padding="same")),
    "strides": lambda: build(
        layers.Conv2D(2, 3, strides=(2, 1), padding="same"),
        layers.AveragePooling2D((2, 3), strides=(2, 3), padding="same"),
        layers.Conv2D(2, 2, padding="same"),
    ),
    "padded by hand": lambda: build(
        layers.ZeroPadding2D(((3, 0), (0, 2))), layers.Conv2D(2, 4), layers.Cropping2D(((1, 2), (0, 3)))
    ),
    "dilated": lambda: build(layers.Conv2D(2, 3, dilation_rate=(2, 3)), layers.Conv2D(2, 3)),
    "depthwise": lambda: build(layers.DepthwiseConv2D(3, strides=2, padding="same"), layers.SeparableConv2D(2, 3)),
    "whitening": lambda: build(layers.Conv2D(2, 3, strides=2), PatchWhitening(2)),
    "branches": branched,
    "squeezed": squeezed,
    "nested": nested,
    "units": lambda: build(layers.Conv2D(2, 3, strides=3), layers.Flatten(), layers.Dense(3)),
    "activation function": lambda: build(layers.Conv2D(2, 3), keras.activations.relu, layers.Conv2D(2, 3)),
    "normalised": lambda: build(layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Dropout(0.5)),
}


def seen(network: keras.Model, position: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of the pixels that change a unit at a position, with positive weights so that nothing cancels."""
    rng = np.random.default_rng(0)
    network.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in network.get_weights()])
    pixels = tf.constant(rng.uniform(0.5, 1, (1, *SHAPE)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        maps = network(pixels)
        value = tf.reduce_sum(maps[0] if len(maps.shape) == 2 else maps[0, position[0], position[1]])
    rows, columns = np.nonzero(np.abs(tape.gradient(value, pixels)[0]).max(axis=-1) > 1e-7)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def positions(network: keras.Model) -> list[tuple[int, int]]:
    if len(network.output_shape) == 2:
        return [(0, 0)]
    height, width = network.output_shape[1:3]
    return [(row, column) for row in range(height) for column in range(width)]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_box_of_every_unit_is_where_its_gradient_is(name):
    network = NETWORKS[name]()
    last = list(receptive_fields(network).values())[-1]
    for position in positions(network)[:: 1 + len(positions(network)) // 12]:
        assert last.box(position, SHAPE) == seen(network, position), position


@pytest.mark.parametrize(
    "network",
    [
        lambda: build(layers.MaxPooling2D(3, strides=2, padding="same"), layers.Conv2D(2, 3, padding="same")),
        lambda: build(layers.Conv2D(2, 3, strides=2), layers.Conv2D(2, 3, padding="same")),
        lambda: build(
            layers.Conv2D(2, 3, strides=2, padding="same"), layers.Conv2DTranspose(2, 4, strides=2, padding="same")
        ),
        lambda: build(layers.Conv2DTranspose(2, (3, 2), strides=(2, 3)), layers.Conv2D(2, 3)),
        lambda: build(layers.MaxPooling2D(2), layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3)),
    ],
)
def test_no_unit_sees_beyond_its_box(network):
    network = network()
    last = list(receptive_fields(network).values())[-1]
    for position in positions(network)[:: 1 + len(positions(network)) // 12]:
        top, bottom, left, right = last.box(position, SHAPE)
        rows, rows_end, columns, columns_end = seen(network, position)
        assert top <= rows < rows_end <= bottom, position
        assert left <= columns < columns_end <= right, position


def sizes(network: keras.Model, *names: str) -> list[tuple[int, int]]:
    fields = receptive_fields(network)
    return [(int(fields[name].rows.size), int(fields[name].rows.stride)) for name in names]


def test_sizes_and_strides_of_published_networks():
    network = alexnet((227, 227, 3), 10)
    convolutions = [f"conv{number}" for number in range(1, 6)]
    assert sizes(network, *convolutions) == [(11, 4), (51, 8), (99, 16), (131, 16), (163, 16)]
    assert sizes(network, "logits") == [(227, 0)]
    network = resnet((224, 224, 3), 10, depth=18)
    assert sizes(network, "conv1", "conv2_2_act", "conv5_2_act") == [(7, 2), (43, 4), (435, 32)]
    network = googlenet((224, 224, 3), 10)
    assert sizes(network, "conv1", "conv2", "inception_3a", "inception_3b_5x5") == [(7, 2), (19, 4), (59, 8), (91, 8)]


def test_a_layer_of_an_unknown_kind_sees_everything_and_is_named(caplog):
    class Shuffle(layers.Layer):
        def call(self, inputs):
            return inputs[:, ::-1]

    with caplog.at_level(logging.WARNING):
        fields = receptive_fields(build(layers.Conv2D(2, 3), Shuffle(name="shuffle"), layers.Conv2D(2, 3, name="last")))
    assert fields["last"].box((0, 0), SHAPE) == (0, 21, 0, 18)
    assert [record.getMessage() for record in caplog.records] == [
        "shuffle: unknown kind of layer, Shuffle; taken to see all"
    ]


def test_images_of_any_size_are_refused_where_the_field_depends_on_it():
    anything = keras.Input((None, None, 2))
    inner = keras.Model(anything, layers.Conv2D(2, 3, strides=2, padding="same", name="halve")(anything), name="inner")
    for network, name in ((inner, "inner"), (build(inner), "halve")):
        with pytest.raises(ValueError, match=f"{name} is built for any size"):
            receptive_fields(network)
