"""The networks: sizes, names, and what their knobs do."""

from importlib.resources import files
from inspect import signature

import keras
import numpy as np
import pytest
import yaml

from cnnlab.models.alexnet_small import alexnet_small
from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.cats_dogs_cnn import cats_dogs_cnn
from cnnlab.models.mnist_cnn import mnist_cnn

NETWORKS = [
    (mnist_cnn, (28, 28, 1)),
    (alexnet_small, (32, 32, 3)),
    (all_cnn_c, (32, 32, 3)),
    (cats_dogs_cnn, (30, 30, 3)),
]
LINEAR = ("logits", "conv9")
every_network = pytest.mark.parametrize(("build", "shape"), NETWORKS, ids=[build.__name__ for build, _ in NETWORKS])


def images(shape: tuple[int, int, int], count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), np.float32)


@pytest.mark.parametrize(
    ("build", "shape", "params"),
    [
        (mnist_cnn, (28, 28, 1), 113_514),
        (alexnet_small, (32, 32, 3), 2_887_306),
        (all_cnn_c, (32, 32, 3), 1_369_738),
    ],
)
def test_parameter_counts_are_the_published_ones(build, shape, params):
    assert build(shape, 10).count_params() == params


@every_network
def test_the_yaml_repeats_the_builders_defaults(build, shape):
    text = files("cnnlab.conf").joinpath("model", f"{build.__name__}.yaml").read_text()
    node = {key: value for key, value in yaml.safe_load(text).items() if key not in ("name", "head", "preprocessing")}
    assert node.pop("_target_") == f"{build.__module__}.{build.__name__}"
    knobs = list(signature(build).parameters.values())[2:]  # after the image shape and the number of classes
    assert node == {knob.name: knob.default for knob in knobs}


@every_network
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_logits_are_float32_whatever_the_precision(build, shape, policy):
    keras.config.set_dtype_policy(policy)
    logits = build(shape, 7)(images(shape))
    assert logits.shape == (2, 7)
    assert logits.dtype == "float32"


@every_network
def test_the_last_layer_is_called_logits_and_blocks_are_numbered(build, shape):
    names = [layer.name for layer in build(shape, 10, batch_norm=True, dropout=0.1).layers]
    assert names[0] == "images"
    assert names[-1] == "logits"
    assert {"conv1", "conv1_bn", "conv1_act", "conv2", "conv3"} <= set(names)


@every_network
def test_batch_norm_replaces_each_hidden_bias_by_four_statistics(build, shape):
    plain, normalised = build(shape, 10), build(shape, 10, batch_norm=True)
    hidden = sum(layer.bias.shape[0] for layer in plain.layers if hasattr(layer, "kernel") and layer.name not in LINEAR)
    assert normalised.count_params() == plain.count_params() - hidden + 4 * hidden


@every_network
def test_dropout_acts_only_in_training(build, shape):
    network = build(shape, 10, dropout=0.5)
    x = images(shape)
    np.testing.assert_array_equal(network(x, training=False), network(x, training=False))
    assert np.abs(network(x, training=True) - network(x, training=False)).max() > 1e-4


@every_network
def test_without_dropout_there_is_no_dropout_layer(build, shape):
    rates = {"dropout": 0.0} | ({"input_dropout": 0.0} if build is all_cnn_c else {})
    layers = build(shape, 10, **rates).layers
    assert not [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]


@every_network
def test_l2_penalises_every_kernel_and_no_bias(build, shape):
    network = build(shape, 10, l2=0.01)
    kernels = [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]
    expected = 0.01 * sum(float(np.sum(np.square(kernel))) for kernel in kernels)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)
    assert not build(shape, 10).losses


@every_network
def test_activation_follows_every_hidden_layer(build, shape):
    layers = build(shape, 10, activation="elu").layers
    activations = {layer.activation.__name__ for layer in layers if isinstance(layer, keras.layers.Activation)}
    assert activations == {"elu"}


@every_network
def test_a_block_named_like_its_layer_gives_the_pre_activation(build, shape):
    network = build(shape, 10)
    linear, active = (network.get_layer(name).output for name in ("conv1", "conv1_act"))
    before, after = keras.Model(network.input, [linear, active])(images(shape))
    assert np.min(before) < 0
    np.testing.assert_array_equal(after, np.maximum(before, 0))


def test_cats_dogs_cnn_has_the_published_size_with_one_output():
    network = cats_dogs_cnn((150, 150, 3), 1)
    assert network.count_params() == 4_894_913
    assert network.get_layer("pool3").output.shape == (None, 17, 17, 128)


def test_mnist_cnn_keeps_the_size_of_its_maps_with_padding_same():
    network = mnist_cnn((28, 28, 1), 10, padding="same")
    assert network.get_layer("conv3").output.shape == (None, 7, 7, 64)
    assert mnist_cnn((28, 28, 1), 10).get_layer("conv3").output.shape == (None, 3, 3, 64)


def test_alexnet_small_starts_from_he_normal_kernels_and_biases_of_one():
    network = alexnet_small((32, 32, 3), 10)
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            fan_in = np.prod(layer.kernel.shape[:-1])
            assert np.std(layer.kernel) == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)
            np.testing.assert_array_equal(layer.bias, 1)


def test_alexnet_small_shrinks_the_maps_as_published():
    network = alexnet_small((32, 32, 3), 10)
    sides = [network.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "conv2", "pool2", "conv5")]
    assert sides == [16, 8, 8, 4, 4]


def test_all_cnn_c_averages_six_by_six_maps():
    network = all_cnn_c((32, 32, 3), 10)
    assert network.get_layer("conv9").output.shape == (None, 6, 6, 10)
    maps = keras.Model(network.input, network.get_layer("conv9").output)
    x = images((32, 32, 3))
    np.testing.assert_allclose(network(x), np.mean(maps(x), axis=(1, 2)), rtol=1e-4)


def test_all_cnn_c_may_have_an_activation_on_its_class_maps_as_published():
    network = all_cnn_c((32, 32, 3), 10, final_activation=True)
    assert network.count_params() == 1_369_738
    assert np.min(network(images((32, 32, 3)))) >= 0
    assert np.min(all_cnn_c((32, 32, 3), 10)(images((32, 32, 3)))) < 0


def test_all_cnn_c_takes_images_of_other_sizes():
    assert all_cnn_c((40, 48, 1), 3)(images((40, 48, 1))).shape == (2, 3)


@every_network
def test_layers_draw_from_different_seeds(build, shape):
    network = build(shape, 10)
    firsts = [float(np.ravel(layer.kernel)[0]) for layer in network.layers if hasattr(layer, "kernel")]
    assert len(set(firsts)) == len(firsts)
