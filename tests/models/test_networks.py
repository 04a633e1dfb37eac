"""The networks: sizes, names, and what their options do."""

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from inspect import Parameter, signature

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from hydra.utils import get_method

from cnnlab.models.alexnet_small import alexnet_small
from cnnlab.models.all_cnn_c import all_cnn_c
from cnnlab.models.cats_dogs_cnn import cats_dogs_cnn
from cnnlab.models.mnist_cnn import mnist_cnn

MODELS = files("cnnlab.conf").joinpath("model")
OPTIONS = sorted(file.name.removesuffix(".yaml") for file in MODELS.iterdir() if file.name.endswith(".yaml"))


def arguments_of(option: str) -> tuple[Callable[..., keras.Model], dict]:
    """An option's builder, and what the option gives it."""
    node = yaml.safe_load((MODELS / f"{option}.yaml").read_text())
    for shared, _ in [entry.split("@") for entry in node.pop("defaults", []) if entry != "_self_"]:
        node = yaml.safe_load((MODELS / f"{shared}.yaml").read_text()) | node
    builder = get_method(node["_target_"])
    ours = ("_target_", "name", "head", "preprocessing", "auxiliary_loss_weight")
    return builder, {key: node[key] for key in node if key not in ours}


def network_of(option: str, **arguments) -> Callable[..., keras.Model]:
    """The builder of an option with the option's arguments, some of them changed."""
    builder, given = arguments_of(option)
    return partial(builder, **(given | arguments))


NETWORKS = {
    "mnist_cnn": (mnist_cnn, (28, 28, 1)),
    "alexnet_small": (alexnet_small, (32, 32, 3)),
    "all_cnn_c": (all_cnn_c, (32, 32, 3)),
    "cats_dogs_cnn": (cats_dogs_cnn, (30, 30, 3)),
    "model_b": (network_of("model_b"), (20, 20, 3)),
    "convpool_cnn_a": (network_of("convpool_cnn_a"), (20, 20, 3)),
    "strided_cnn_c": (network_of("strided_cnn_c"), (20, 20, 3)),
    "all_cnn_large": (network_of("all_cnn_large", width=0.03), (126, 126, 3)),
    "alexnet": (network_of("alexnet", conv1_padding="valid"), (67, 67, 3)),
    "zfnet": (network_of("zfnet"), (53, 53, 3)),
    "lenet5": (network_of("lenet5"), (28, 28, 1)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request) -> tuple[Callable[..., keras.Model], tuple[int, int, int]]:
    """Each builder in turn, and the shape of the images it is given here."""
    return NETWORKS[request.param]


@pytest.fixture(scope="module")
def plain(network) -> keras.Model:
    """The network as its option describes it; tests only read it."""
    keras.utils.set_random_seed(0)
    build, shape = network
    return build(shape, 10)


@pytest.fixture(scope="module")
def regularised(network) -> keras.Model:
    """The same with its options set; tests only read it."""
    keras.utils.set_random_seed(0)
    build, shape = network
    return build(shape, 10, batch_norm=True, dropout=0.5, l2=0.01, activation="elu")


def images(shape: tuple[int, int, int], count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), np.float32)


@pytest.mark.parametrize(
    ("option", "shape", "num_classes", "params"),
    [
        ("mnist_cnn", (28, 28, 1), 10, 113_514),
        ("alexnet_small", (32, 32, 3), 10, 2_887_306),
        ("all_cnn_c", (32, 32, 3), 10, 1_369_738),
        ("all_cnn_a", (32, 32, 3), 10, 1_254_250),
        ("all_cnn_b", (32, 32, 3), 10, 1_300_618),
        ("convpool_cnn_a", (32, 32, 3), 10, 1_254_250),
        ("convpool_cnn_b", (32, 32, 3), 10, 1_300_618),
        ("convpool_cnn_c", (32, 32, 3), 10, 1_369_738),
        ("model_a", (32, 32, 3), 10, 839_242),
        ("model_b", (32, 32, 3), 10, 885_610),
        ("model_c", (32, 32, 3), 10, 954_730),
        ("strided_cnn_a", (32, 32, 3), 10, 839_242),
        ("strided_cnn_b", (32, 32, 3), 10, 885_610),
        ("strided_cnn_c", (32, 32, 3), 10, 954_730),
        ("airbench", (32, 32, 3), 10, 1_973_944),
        ("all_cnn_large", (126, 126, 3), 10, 77_455_690),
        ("alexnet", (227, 227, 3), 1000, 60_965_224),
        ("zfnet", (224, 224, 3), 1000, 62_357_608),
        ("lenet5", (28, 28, 1), 10, 61_706),
        ("lenet5_1998", (28, 28, 1), 10, 60_000),
    ],
)
def test_parameter_counts_are_the_published_ones(option, shape, num_classes, params):
    assert network_of(option)(shape, num_classes).count_params() == params


@pytest.mark.parametrize("option", OPTIONS)
def test_the_yaml_repeats_the_builders_defaults(option):
    builder, given = arguments_of(option)
    arguments = list(signature(builder).parameters.values())[2:]  # after the image shape and the number of classes
    assert given.keys() == {argument.name for argument in arguments}
    for argument in arguments if option != "photo_cnn" else ():  # which is another builder with other values
        default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
        assert argument.default is Parameter.empty or given[argument.name] == default, argument.name


def test_logits_are_float32_whatever_the_precision(network):
    build, shape = network
    keras.config.set_dtype_policy("mixed_bfloat16")
    logits = build(shape, 7)(images(shape))
    assert logits.shape == (2, 7)
    assert logits.dtype == "float32"


def test_the_last_layer_is_called_logits_and_blocks_are_numbered(regularised):
    names = [layer.name for layer in regularised.layers]
    assert names[0] == "images"
    assert names[-1] == "logits"
    assert {"conv1", "conv1_bn", "conv1_act", "conv2", "conv3"} <= set(names)


def test_batch_norm_replaces_each_hidden_bias_by_four_statistics(plain, regularised):
    normalisations = {layer.name for layer in regularised.layers if layer.name.endswith("_bn")}
    hidden = sum(layer.bias.shape[0] for layer in plain.layers if f"{layer.name}_bn" in normalisations)
    assert len(normalisations) == sum(isinstance(layer, keras.layers.Activation) for layer in plain.layers)
    assert regularised.count_params() == plain.count_params() - hidden + 4 * hidden


def test_dropout_acts_only_in_training(network, regularised):
    x = images(network[1])
    np.testing.assert_array_equal(regularised(x, training=False), regularised(x, training=False))
    dropped = [layer for layer in regularised.layers if isinstance(layer, keras.layers.Dropout)]
    assert any(layer.rate == 0.5 for layer in dropped)
    ones = np.ones((4, 4), np.float32)
    assert all((np.asarray(layer(ones, training=True)) != ones).any() for layer in dropped)


def test_without_dropout_there_is_no_dropout_layer(network):
    build, shape = network
    rates = [argument for argument in signature(build).parameters if "dropout" in argument]
    layers = build(shape, 10, **dict.fromkeys(rates, 0.0)).layers
    assert not [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]


def test_l2_penalises_every_kernel_and_no_bias(plain, regularised):
    kernels = [layer.kernel for layer in regularised.layers if hasattr(layer, "kernel")]
    expected = 0.01 * sum(float(np.sum(np.square(kernel))) for kernel in kernels)
    assert float(sum(regularised.losses)) == pytest.approx(expected, rel=1e-5)
    assert not plain.losses


def test_activation_follows_every_hidden_layer(regularised):
    layers = regularised.layers
    activations = {layer.activation.__name__ for layer in layers if isinstance(layer, keras.layers.Activation)}
    assert activations == {"elu"}


def test_a_block_named_like_its_layer_gives_the_pre_activation(network, plain):
    linear, active = (plain.get_layer(layer).output for layer in ("conv1", "conv1_act"))
    before, after = keras.Model(plain.input, [linear, active])(images(network[1]))
    assert np.min(before) < 0
    activation = plain.get_layer("conv1_act").activation
    np.testing.assert_array_equal(after, activation(before))
    assert not np.array_equal(after, before)


def test_a_small_step_down_the_gradient_lowers_the_loss_and_reaches_every_weight(network):
    build, shape = network
    share, all_weights = small_step(build(shape, 10), images(shape))
    assert 0.5 < share < 1.5
    assert all_weights


def small_step(network: keras.Model, x: np.ndarray) -> tuple[float, bool]:
    """Which share of what its slope promises the loss falls by, and whether every trainable weight has a gradient."""

    def loss() -> tf.Tensor:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(np.arange(len(x)), network(x)))

    with tf.GradientTape() as tape:
        before = loss()
    gradients = tape.gradient(before, network.trainable_weights)
    promised = 0.01 * before
    size = promised / sum(tf.reduce_sum(tf.square(gradient)) for gradient in gradients)
    for weight, gradient in zip(network.trainable_weights, gradients, strict=True):
        weight.assign_sub(size * gradient)
    return float((before - loss()) / promised), all(np.any(gradient) for gradient in gradients)


def test_lenet5_1998_learns():
    share, all_weights = small_step(network_of("lenet5_1998")((28, 28, 1), 10), images((28, 28, 1)))
    assert 0.5 < share < 1.5
    assert all_weights


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


def test_layers_draw_from_different_seeds(plain):
    firsts = [float(np.ravel(layer.kernel)[0]) for layer in plain.layers if hasattr(layer, "kernel")]
    assert len(set(firsts)) == len(firsts)
