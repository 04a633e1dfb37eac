"""Residual networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.errors import UserError
from cnnlab.models.network import build_preprocessing, export
from cnnlab.models.resnet import resnet

SMALL = (8, 8, 3)


def small(**arguments) -> keras.Model:
    return resnet(SMALL, 3, **{"depth": 18, "stem": "cifar", **arguments})


def images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((count, *SMALL), np.float32)


def trained_and_fixed(network: keras.Model) -> tuple[int, int]:
    return tuple(
        sum(int(np.prod(weight.shape)) for weight in weights)
        for weights in (network.trainable_weights, network.non_trainable_weights)
    )


@pytest.mark.parametrize(
    ("depth", "trained", "statistics"),
    [(34, 21_797_672, 17_024), (50, 25_557_032, 53_120)],
)
def test_it_has_the_published_size(depth, trained, statistics):
    assert trained_and_fixed(resnet((224, 224, 3), 1000, depth=depth)) == (trained, statistics)


@pytest.mark.parametrize(("stem", "sides"), [("imagenet", [32, 16, 16, 8, 4, 2]), ("cifar", [64, None, 64, 32, 16, 8])])
def test_the_stem_decides_the_size_of_the_maps(stem, sides):
    network = resnet((64, 64, 3), 10, depth=18, stem=stem)
    names = ("conv1", "pool1", "conv2_2_act", "conv3_2_act", "conv4_2_act", "conv5_2_act")
    by_name = {layer.name: layer.output.shape[1] for layer in network.layers}
    assert [by_name.get(name) for name in names] == sides


@pytest.fixture(scope="module")
def bottlenecks() -> keras.Model:
    """Of depth 50, with all other arguments as they come."""
    return resnet(SMALL, 3, depth=50, stem="cifar")


def test_the_version_decides_where_a_bottleneck_halves_the_maps(bottlenecks):
    for network, sides in ((bottlenecks, (8, 4)), (resnet(SMALL, 3, depth=50, stem="cifar", version=1), (4, 4))):
        halved = [network.get_layer(name).output.shape[1] for name in ("conv3_1_conv1", "conv3_1_conv2")]
        assert tuple(halved) == sides


def test_another_version_is_refused():
    with pytest.raises(UserError, match=r"model.version=2: must be 1 or 1.5"):
        small(version=2)


def test_zero_init_residual_starts_every_unit_as_its_shortcut():
    network = small(zero_init_residual=True)
    outputs = [network.get_layer(name).output for name in ("conv1_act", "conv2_2_act", "conv3_1_act", "conv3_2_act")]
    for training in (False, True):
        start, second, third, fourth = keras.Model(network.input, outputs)(images(), training=training)
        assert np.max(start) > 0
        np.testing.assert_array_equal(second, start)
        np.testing.assert_array_equal(fourth, third)
    ordinary = small()
    outputs = [ordinary.get_layer(name).output for name in ("conv1_act", "conv2_1_act")]
    start, second = keras.Model(ordinary.input, outputs)(images())
    assert np.max(np.abs(second - start)) > 0.1


def test_projections_stand_only_where_the_shape_changes(bottlenecks):
    def projections(network: keras.Model) -> list[str]:
        return [layer.name for layer in network.layers if layer.name.endswith("_projection")]

    assert projections(small()) == [f"conv{stage}_1_projection" for stage in (3, 4, 5)]
    assert projections(bottlenecks) == [f"conv{stage}_1_projection" for stage in (2, 3, 4, 5)]


def test_a_step_moves_every_weight():
    network = small()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(network(images(), training=True) - 1.0))
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is not None and np.any(gradient) for gradient in gradients)


def test_an_exported_model_survives_saving(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = small()
    assert network(images()).dtype == "float32"
    exported = export(build_preprocessing(OmegaConf.create({"rescaling": True}), SMALL), network)
    exported.save(tmp_path / "model.keras")
    pixels = (images() * 255).astype("uint8")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(pixels), exported(pixels))


def test_its_options_act():
    network = small(dropout=0.3, l2=0.1, activation="elu")
    kinds = [type(layer).__name__ for layer in network.layers]
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert kinds.count("BatchNormalization") == len(convolutions) == 17 + 3
    assert not any(layer.use_bias for layer in convolutions)
    assert len(network.losses) == len(convolutions) + 1
    assert network.get_layer("dropout").rate == 0.3
    activations = {layer.activation.__name__ for layer in network.layers if type(layer).__name__ == "Activation"}
    assert activations == {"elu"}
