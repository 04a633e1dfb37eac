"""Counting MACs and parameters."""

import keras
import pytest

from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.cost import LayerCost, count_macs, layer_costs
from cnnlab.models.graph import uses
from cnnlab.models.lenet5 import lenet5_1998
from cnnlab.models.mnist_cnn import mnist_cnn

L = keras.layers


def macs(layer: keras.layers.Layer, *shape: int) -> int:
    return count_macs(uses(keras.Model(images := keras.Input(shape), layer(images)))[-1])


def test_all_cnn_c_costs_what_a_hand_count_says():
    expected = {
        "conv1": 32 * 32 * 9 * 3 * 96,
        "conv2": 32 * 32 * 9 * 96 * 96,
        "conv3": 16 * 16 * 9 * 96 * 96,
        "conv4": 16 * 16 * 9 * 96 * 192,
        "conv5": 16 * 16 * 9 * 192 * 192,
        "conv6": 8 * 8 * 9 * 192 * 192,
        "conv7": 6 * 6 * 9 * 192 * 192,
        "conv8": 6 * 6 * 192 * 192,
        "conv9": 6 * 6 * 192 * 10,
    }
    costs = layer_costs(all_cnn_c((32, 32, 3), 10), batch_size=1)
    assert {cost.name: cost.macs for cost in costs if cost.macs} == expected


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (L.Conv2D(8, 3, padding="same"), (10, 6, 4), 10 * 6 * 9 * 4 * 8),
        (L.Conv2D(8, 3), (10, 6, 4), 8 * 4 * 9 * 4 * 8),
        (L.Conv2D(8, (3, 5), strides=2, padding="same"), (10, 6, 4), 5 * 3 * 15 * 4 * 8),
        (L.Conv2D(8, 3, groups=2, padding="same"), (10, 6, 4), 10 * 6 * 9 * 2 * 8),
        (L.Conv2D(8, 3, dilation_rate=2), (10, 6, 4), 6 * 2 * 9 * 4 * 8),
        (L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (10, 6, 4), 10 * 6 * 9 * 4 * 2),
        (L.SeparableConv2D(8, 3, padding="same"), (10, 6, 4), 10 * 6 * (9 * 4 + 4 * 8)),
        (L.Conv2DTranspose(8, 2, strides=2), (10, 6, 4), 10 * 6 * 4 * 4 * 8),
        (L.Dense(7), (5,), 35),
        (L.Dense(7), (3, 2, 5), 6 * 35),
        (L.MaxPooling2D(2), (10, 6, 4), 0),
        (L.BatchNormalization(), (10, 6, 4), 0),
    ],
    ids=lambda value: value.name if isinstance(value, keras.layers.Layer) else None,
)
def test_macs_follow_from_kernel_and_output(layer, shape, expected):
    assert macs(layer, *shape) == expected


def test_a_nested_model_costs_what_its_layers_cost():
    inner = mnist_cnn((28, 28, 1), 10)
    outer = keras.Model(images := keras.Input((28, 28, 1)), inner(images))
    assert layer_costs(outer, 1)[1].macs == sum(cost.macs for cost in layer_costs(inner, 1)) > 0


def test_layers_with_kernels_whose_macs_are_not_counted_are_told(caplog):
    images = keras.Input((4, 4, 3))
    x = L.Reshape((16, 3))(L.PReLU()(L.BatchNormalization()(L.Conv2D(3, 1)(images))))
    x = L.EinsumDense("abc,cd->abd", (16, 3), name="einsum")(L.MultiHeadAttention(1, 2, name="attention")(x, x))
    x = L.LayerNormalization(axis=(1, 2))(L.GRU(2, return_sequences=True, name="recurrent")(x))
    layer_costs(keras.Model(images, x), batch_size=1)
    assert [record.getMessage() for record in caplog.records] == [
        "einsum: MACs are not counted in layers of such a kind",
        "attention, recurrent: the MACs and activations of the layers inside are not counted; only a functional model "
        "shows how they are used",
    ]
    caplog.clear()
    layer_costs(lenet5_1998((28, 28, 1), 10), batch_size=1)
    assert not caplog.records


def test_a_shared_layer_costs_as_often_as_it_is_used_nested_or_not():
    images = keras.Input((6, 6, 2))
    shared = L.Conv2D(2, 3, padding="same")
    once = 6 * 6 * 9 * 2 * 2
    inner = keras.Model(images, shared(shared(images)))
    assert [cost.macs for cost in layer_costs(inner, 1)] == [0, 2 * once]
    assert [cost.macs for cost in layer_costs(keras.Model(images, inner(inner(images))), 1)] == [0, 4 * once]


def test_a_layer_of_several_outputs_is_described_by_all_of_them():
    class Two(L.Layer):
        def call(self, x):
            return x, x[..., :1]

    images = keras.Input((4, 4, 2))
    cost = layer_costs(keras.Model(images, L.Concatenate()(Two()(images))), batch_size=1)[1]
    assert (cost.output_shape, cost.batch_activation_bytes) == ((4, 4, 2), 4 * (32 + 16))


def test_a_layer_is_described_for_a_batch_in_its_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    cost = layer_costs(mnist_cnn((28, 28, 1), 10), batch_size=3)[1]
    assert cost == LayerCost(
        name="conv1",
        type="Conv2D",
        output_shape=(26, 26, 24),
        params=240,
        macs=26 * 26 * 9 * 24,
        batch_activation_bytes=3 * 26 * 26 * 24 * 2,
    )


def test_the_layers_add_up_to_the_network():
    network = mnist_cnn((28, 28, 1), 10, batch_norm=True)
    assert sum(cost.params for cost in layer_costs(network, 1)) == network.count_params()


def test_layers_whose_use_is_hidden_are_named_as_not_counted(caplog):
    class Block(L.Layer):
        def __init__(self):
            super().__init__(name="block")
            self.inner = L.Dense(8)

        def call(self, x):
            return self.inner(self.inner(x))

    images = keras.Input((6, 6, 8))
    costs = layer_costs(keras.Model(images, L.Conv2D(2, 3)(Block()(images))), batch_size=1)
    assert [cost.macs for cost in costs] == [0, 0, 4 * 4 * 9 * 8 * 2]
    (record,) = caplog.records
    assert record.message.startswith("block: the MACs and activations of the layers inside are not counted")
