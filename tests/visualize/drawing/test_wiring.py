"""A network as boxes: what is folded, what leads where, and how long the longest way is."""

import keras
import pytest
from keras import layers

from cnnlab.models.googlenet import googlenet
from cnnlab.models.layers import GroupedConv2D
from cnnlab.models.mnist_cnn import mnist_cnn
from cnnlab.models.resnet import resnet
from cnnlab.visualize.drawing.wiring import rank, wire


@pytest.fixture(scope="module")
def branched() -> keras.Model:
    return googlenet((64, 64, 3), 10)


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    return resnet((32, 32, 3), 10, depth=18)


def by_name(network, **how):
    return {box.name: box for box in wire(network, **how)}


def test_a_block_is_one_box_with_all_of_its_parameters(residual):
    boxes = by_name(residual)
    assert boxes["conv2_1_conv1"].words == ["conv 3×3", "bn", "relu"]
    assert boxes["conv2_1_conv1"].parameters == 3 * 3 * 64 * 64 + 4 * 64
    assert boxes["conv3_1_conv1"].words == ["conv 3×3 /2", "bn", "relu"]
    assert boxes["conv2_1_add"].words == ["add", "relu"]
    assert [box.name for box in boxes["conv2_2_add"].before] == ["conv2_1_add", "conv2_2_conv2"]


def test_a_convolution_says_what_its_kernel_leaves_out():
    network = keras.Sequential([keras.Input((16, 16, 4))])
    network.add(layers.Conv2D(4, 3, dilation_rate=2, activation="relu", name="apart"))
    network.add(layers.Conv2D(4, 3, dilation_rate=(1, 2), groups=2, name="both"))
    network.add(GroupedConv2D(4, 3, groups=2, strides=2, name="ours"))
    network.add(layers.MaxPooling2D(2, name="pooling"))
    words = {name: box.words[0] for name, box in by_name(network).items() if box.words}
    assert words["apart"] == "conv 3×3 · dilation 2 · relu"
    assert words["both"] == "conv 3×3 · dilation 1×2 · 2 groups"
    assert words["ours"] == "conv 3×3 /2 · 2 groups"
    assert words["pooling"] == "max 2×2 /2"


def test_what_an_own_layer_means_by_kernel_size_is_not_guessed():
    class Attention(layers.Layer):
        kernel_size = 7

        def call(self, x):
            return x

    network = keras.Sequential([keras.Input((8, 8, 3)), Attention(name="own")])
    assert by_name(network)["own"].words == ["attention"]


def test_every_layer_has_its_box_where_nothing_is_folded():
    network = mnist_cnn((28, 28, 1), 10)
    boxes = wire(network, fold=False)
    assert [box.name for box in boxes] == [layer.name for layer in network.layers]
    assert [box.kind for box in boxes[:4]] == ["input", "convolution", "activation", "pooling"]


def test_no_parameter_is_lost_or_counted_twice(branched, residual):
    inputs = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    network = keras.Model(inputs, shared(layers.BatchNormalization()(shared(inputs))))
    for each in (network, branched, residual):
        for fold in (True, False):
            assert sum(box.parameters for box in wire(each, fold=fold)) == each.count_params()


def test_an_activation_stays_apart_where_something_else_reads_what_it_reads():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, padding="same", name="conv")(inputs)
    network = keras.Model(inputs, layers.Add(name="add")([x, layers.ReLU(name="act")(x)]))
    assert [box.name for box in by_name(network)["add"].before] == ["conv", "act"]


def test_branches_have_their_ranks_and_meet_below_the_longest(branched):
    boxes = by_name(branched)
    ranks = rank(list(boxes.values()))
    start = ranks[boxes["pool2"]]
    assert ranks[boxes["inception_3a_1x1"]] == ranks[boxes["inception_3a_3x3_reduce"]] == start + 1
    assert ranks[boxes["inception_3a"]] == start + 3
    assert len(boxes["inception_3a"].before) == 4


def test_nested_models_are_groups():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="conv")], name="inner")
    inputs = keras.Input((8, 8, 3))
    boxes = by_name(keras.Model(inputs, layers.Flatten(name="flatten")(inner(inputs))))
    assert {name: box.group for name, box in boxes.items() if box.kind != "input"} == {"conv": "inner", "flatten": ""}
    assert boxes["conv"].shape == (6, 6, 2)
    assert boxes["flatten"].before == [boxes["conv"]]
