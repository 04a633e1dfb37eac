"""Fresh kernels: the right spread for every kind of layer, repeatable, and nothing else touched."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_module
from keras import layers
from omegaconf import DictConfig, OmegaConf

import cnnlab.conf
from cnnlab.errors import UserError
from cnnlab.initializers.apply import apply_initializer
from cnnlab.initializers.kernels import kernels

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "initializer").glob("*.yaml"))

# Inputs and outputs that one output, and one input, of a layer is connected to (strides aside).
LAYERS = {
    "dense": ((400,), lambda: layers.Dense(300), [(400, 300)]),
    "conv1d": ((20, 60), lambda: layers.Conv1D(90, 5), [(5 * 60, 5 * 90)]),
    "conv2d": ((9, 9, 32), lambda: layers.Conv2D(64, 3), [(9 * 32, 9 * 64)]),
    "conv3d": ((5, 5, 5, 16), lambda: layers.Conv3D(32, 3), [(27 * 16, 27 * 32)]),
    "grouped": ((9, 9, 64), lambda: layers.Conv2D(128, 3, groups=4), [(9 * 16, 9 * 32)]),
    "depthwise": ((9, 9, 150), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), [(9, 9 * 2)]),
    "separable": ((9, 9, 300), lambda: layers.SeparableConv2D(20, 3), [(9, 9), (300, 20)]),
    "transposed": ((9, 9, 24), lambda: layers.Conv2DTranspose(72, 3), [(9 * 24, 9 * 72)]),
}
DEVIATIONS = {
    "glorot_normal": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "glorot_uniform": lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out)),
    "he_normal": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "he_uniform": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "lecun_normal": lambda fan_in, fan_out: math.sqrt(1 / fan_in),
    "gaussian": lambda fan_in, fan_out: 0.01,
    "truncated_normal": lambda fan_in, fan_out: 0.05 * 0.8796,  # what truncation at 2 σ leaves of σ
    "alexnet": lambda fan_in, fan_out: 0.01,
    "alexnet_notebook": lambda fan_in, fan_out: 2 / math.sqrt(fan_in + fan_out) * 0.8796,
}


def compose_initializer(option: str, *overrides: str) -> DictConfig:
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        return compose(overrides=[f"+initializer={option}", *overrides]).initializer


def make_layer(kind: str) -> keras.Model:
    shape, make, _ = LAYERS[kind]
    return keras.Sequential([keras.Input(shape), make()])


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 8, 8, 3)).astype("float32")


def no_images(count: int) -> np.ndarray:
    pytest.fail("asked for images")


def make_network() -> keras.Model:
    """Nested, with two kernels of one shape, a layer used twice, and weights that are no kernels."""
    block = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same", bias_initializer="ones")], name="block"
    )
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)
    twice = layers.Conv2D(4, 3, padding="same", use_bias=False)
    x = layers.BatchNormalization()(twice(block(twice(x))))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


def initialized(option: str = "he_normal", seed: int = 1, overrides: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    network = make_network()
    apply_initializer(compose_initializer(option, *overrides), network, seed, no_images)
    return {f"{index}:{variable.name}": variable.numpy() for index, variable in enumerate(network.variables)}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_starts_a_network_whose_outputs_are_finite(option):
    node = compose_initializer(option)
    assert node.name == option
    network = make_network()
    apply_initializer(node, network, 0, images)
    outputs = np.asarray(network(images(4), training=True))
    assert np.isfinite(outputs).all()
    assert outputs.any()


def test_every_random_option_is_checked_against_theory():
    assert set(OPTIONS) == {*DEVIATIONS, "orthogonal", "dirac", "lsuv", "default"}


@pytest.mark.parametrize(
    ("option", "kind"),
    [(option, "conv2d") for option in DEVIATIONS] + [("glorot_uniform", kind) for kind in LAYERS if kind != "conv2d"],
)
def test_kernels_have_the_spread_of_theory(option, kind):
    network, fans = make_layer(kind), LAYERS[kind][2]
    apply_initializer(compose_initializer(option), network, 3, no_images)
    for kernel, fan in zip(kernels(network), fans, strict=True):
        values = kernel.variable.numpy()
        deviation = DEVIATIONS[option](*fan)
        assert values.std() == pytest.approx(deviation, rel=0.04)
        assert values.mean() == pytest.approx(0, abs=5 * deviation / math.sqrt(values.size))
        if option.endswith("uniform"):
            assert np.abs(values).max() == pytest.approx(deviation * math.sqrt(3), rel=0.01)


@pytest.mark.parametrize(("kind", "parts"), [("dense", 1), ("conv2d", 1), ("grouped", 4)])
def test_orthogonal_kernels_are_orthonormal_in_each_group(kind, parts):
    network = make_layer(kind)
    apply_initializer(compose_initializer("orthogonal"), network, 3, no_images)
    (kernel,) = kernels(network)
    values = kernel.variable.numpy()
    for part in np.split(values.reshape(-1, values.shape[-1]), parts, axis=-1):
        np.testing.assert_allclose(part.T @ part, np.eye(part.shape[1]), atol=1e-5)


def test_orthogonal_filters_of_a_depthwise_convolution_have_unit_length():
    network = make_layer("depthwise")
    apply_initializer(compose_initializer("orthogonal"), network, 3, no_images)
    (kernel,) = kernels(network)
    np.testing.assert_allclose(np.square(kernel.variable.numpy()).sum((0, 1)), 1, rtol=1e-5)


def test_a_seed_repeats_to_the_last_bit():
    first, second = initialized(seed=1), initialized(seed=1)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first if name.endswith("kernel"))


def test_another_seed_changes_every_kernel():
    first, second = initialized(seed=1), initialized(seed=2)
    assert all((first[name] != second[name]).all() for name in first if name.endswith("kernel"))


def test_kernels_of_one_shape_differ():
    twins = [value for name, value in initialized().items() if value.shape == (3, 3, 4, 4)]
    assert len(twins) == 2
    assert not np.isin(twins[0], twins[1]).any()


def test_the_groups_of_a_convolution_differ():
    network = make_layer("grouped")
    apply_initializer(compose_initializer("he_normal"), network, 3, no_images)
    groups = np.split(next(kernels(network)).variable.numpy(), 4, axis=-1)
    assert not np.isin(groups[0], groups[1]).any()


def test_mixed_precision_starts_from_the_same_weights():
    full = initialized()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = initialized()
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(full[name].tobytes() == mixed[name].tobytes() for name in full if name.endswith("kernel"))


def test_nested_and_shared_layers_are_found_once():
    network = make_network()
    paths = [kernel.variable.path for kernel in kernels(network)]
    assert len(paths) == len(set(paths)) == 4
    assert any(path.startswith("block/") for path in paths)


def test_without_a_bias_value_biases_keep_the_models_own():
    biases = [value for name, value in initialized().items() if name.endswith("bias")]
    assert [np.unique(bias).tolist() for bias in biases] == [[0], [1], [0]]


def test_a_bias_value_goes_to_every_bias_and_nothing_else():
    values = initialized(overrides=("initializer.bias=0.5",))
    for name, value in values.items():
        if name.endswith("bias"):
            np.testing.assert_array_equal(value, 0.5)
        if name.endswith(("beta", "moving_mean")):
            np.testing.assert_array_equal(value, 0)
        if name.endswith("gamma"):
            np.testing.assert_array_equal(value, 1)


def test_alexnets_biases_are_one():
    values = initialized("alexnet")
    assert all((value == 1).all() for name, value in values.items() if name.endswith("bias"))


def test_the_notebooks_deviation_is_that_of_the_normal_before_it_is_truncated():
    """Against the recipe itself: draw with σ = 2 / √(fan_in + fan_out), drop what lies beyond two σ."""
    network = make_layer("conv2d")
    apply_initializer(compose_initializer("alexnet_notebook"), network, 3, no_images)
    (kernel,) = kernels(network)
    sigma = 2 / math.sqrt(9 * 32 + 9 * 64)
    drawn = np.random.default_rng(0).normal(scale=sigma, size=200_000)
    drawn = drawn[np.abs(drawn) <= 2 * sigma]
    values = kernel.variable.numpy()
    assert np.abs(values).max() == pytest.approx(2 * sigma, rel=1e-3)
    assert values.std() == pytest.approx(drawn.std(), rel=0.01)
    shares = np.linspace(0.05, 0.95, 19)
    np.testing.assert_allclose(np.quantile(values, shares), np.quantile(drawn, shares), atol=0.03 * sigma)


def test_frozen_layers_keep_their_weights():
    network = make_network()
    network.get_layer("block").trainable = False
    before = network.get_layer("block").get_weights()
    apply_initializer(compose_initializer("he_normal", "initializer.bias=0.5"), network, 1, no_images)
    for old, new in zip(before, network.get_layer("block").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


class Mixing(layers.Layer):
    """A layer of the user's own, with a weight that is a kernel to nobody but its author."""

    def build(self, shape):
        self.mixture = self.add_weight(shape=(shape[-1], 5), name="mixture")

    def call(self, x):
        return x @ self.mixture


def test_layers_whose_weights_no_initializer_sets_are_told(caplog):
    inputs = keras.Input((8, 8, 3))
    x = layers.PReLU()(layers.Conv2D(4, 3)(inputs))
    x = layers.EinsumDense("bhwc,cd->bhwd", (6, 6, 3), name="einsum")(Mixing(name="mixing")(x))
    network = keras.Model(inputs, x)
    before = {name: network.get_layer(name).get_weights()[0] for name in ("mixing", "einsum")}
    apply_initializer(compose_initializer("default"), network, 1, no_images)
    assert caplog.messages == []
    apply_initializer(compose_initializer("he_normal"), network, 1, no_images)
    assert caplog.messages == [
        "initializer=he_normal: sets kernels of convolutions and dense layers alone; as they were built stay those of "
        "mixing, einsum"
    ]
    for name, weights in before.items():
        np.testing.assert_array_equal(network.get_layer(name).get_weights()[0], weights)


def test_default_leaves_the_weights_as_they_were_built():
    network = make_network()
    before = network.get_weights()
    apply_initializer(compose_initializer("default"), network, 1, no_images)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_default_can_still_set_biases():
    values = initialized("default", overrides=("initializer.bias=0.1",))
    np.testing.assert_array_equal(values["1:bias"], np.float32(0.1))


def test_an_argument_the_initializer_does_not_know_is_the_users_mistake():
    with pytest.raises(UserError, match=r"^initializer: .*gain"):
        initialized("he_normal", overrides=("+initializer.gain=2.0",))


class Forgetful(keras.initializers.Initializer):
    """One of the user's own, which does not tell what it was made with."""

    def __init__(self, value=1.0, seed=None):
        self.value, self.seed = value, seed

    def __call__(self, shape, dtype=None):
        return np.full(shape, self.value, dtype)


class Telling(Forgetful):
    def get_config(self):
        return {"value": self.value, "seed": self.seed}


def no_initializer(seed):
    return seed


def test_an_initializer_of_ones_own_keeps_its_arguments_or_is_refused():
    def apply(target, **arguments):
        network = make_layer("conv2d")
        node = {"_target_": f"{__name__}.{target}", "name": "mine", "bias": None, **arguments}
        apply_initializer(OmegaConf.create(node), network, 1, no_images)
        return network.get_weights()[0]

    np.testing.assert_array_equal(apply("Telling", value=3.0), 3)
    with pytest.raises(UserError, match=r"^initializer: Forgetful\.get_config does not return value; each"):
        apply("Forgetful", value=3.0)
    with pytest.raises(
        UserError, match=r"^initializer: .*no_initializer returns int, neither a keras\.initializers\.Ini"
    ):
        apply("no_initializer")
