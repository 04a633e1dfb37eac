"""AlexNet and ZFNet: the published maps, and what the options of the forms that circulate do."""

import keras
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.alexnet import alexnet
from cnnlab.models.layers import LocalResponseNormalization
from cnnlab.models.zfnet import zfnet

SMALL = (67, 67, 3)
"""The smallest images AlexNet takes unpadded: one pixel is left after the last pooling."""


def sides(network: keras.Model, *names: str) -> list[int]:
    return [network.get_layer(name).output.shape[1] for name in names]


def biases(network: keras.Model) -> dict[str, float]:
    starts = {layer.name: np.unique(layer.bias) for layer in network.layers if hasattr(layer, "kernel")}
    assert all(len(values) == 1 for values in starts.values())
    return {name: pytest.approx(values[0]) for name, values in starts.items()}


@pytest.fixture(scope="module")
def published() -> keras.Model:
    """On 227x227 pixels, and with few classes."""
    return alexnet((227, 227, 3), 10)


LRN = {"lrn_radius": 4, "lrn_bias": 1.0, "lrn_alpha": 0.001 / 9, "lrn_beta": 0.75}


@pytest.fixture(scope="module")
def varied() -> keras.Model:
    """On small images, with every option set."""
    pools = {"pooling": "average", "pool_padding": "same"}
    starts = {"conv2_bias": 0.1, "hidden_bias": 0.5}
    return alexnet(SMALL, 10, conv1_padding="valid", dense_activation="elu", **pools, **starts, **LRN)


def test_alexnets_maps_shrink_as_published(published):
    names = ("conv1", "pool1", "conv2", "pool2", "conv5", "pool3")
    assert sides(published, *names) == [55, 27, 27, 13, 13, 6]


def test_224_pixels_are_padded_to_the_same_final_maps():
    network = alexnet((224, 224, 3), 1000, groups=1)
    assert sides(network, "conv1", "pool1", "pool2", "pool3") == [56, 27, 13, 6]
    assert network.count_params() == 62_378_344


def test_other_sizes_need_a_choice_of_padding():
    with pytest.raises(UserError) as error:
        alexnet((200, 227, 3), 10)
    assert str(error.value) == (
        "model.conv1_padding=auto: knows images of 227x227 and 224x224 pixels, not 200x227; "
        "use input_shape=[227,227,3], or model.conv1_padding=valid or same"
    )
    assert sides(alexnet(SMALL, 10, conv1_padding="valid"), "conv1", "pool3") == [15, 1]
    assert sides(alexnet(SMALL, 10, conv1_padding="same"), "conv1", "pool3") == [17, 1]


def test_poolings_may_average_and_be_padded(varied):
    pools = [varied.get_layer(f"pool{number}") for number in (1, 2, 3)]
    assert {type(pool) for pool in pools} == {keras.layers.AveragePooling2D}
    assert sides(varied, "pool1", "pool2", "pool3") == [8, 4, 2]


def test_the_constants_reach_both_normalisations(varied):
    for network in (varied, zfnet((53, 53, 3), 10, **LRN)):
        layers = [layer for layer in network.layers if isinstance(layer, LocalResponseNormalization)]
        constants = [(layer.depth_radius, layer.bias, layer.alpha, layer.beta) for layer in layers]
        assert constants == [tuple(LRN.values())] * 2


def test_the_default_constants_are_the_papers(published):
    layer = published.get_layer("lrn1")
    assert (layer.depth_radius, layer.bias, layer.alpha, layer.beta) == (2, 2.0, 1e-4, 0.75)


def test_grouped_halves_see_only_their_own_maps(published, rng):
    conv2 = keras.Model(published.get_layer("conv2").input, published.get_layer("conv2").output)
    maps = rng.random((1, *conv2.input.shape[1:]), np.float32)
    changed = maps.copy()
    changed[..., :48] += 1
    difference = np.abs(np.asarray(conv2(changed)) - np.asarray(conv2(maps))).max(axis=(0, 1, 2))
    assert np.all(difference[:128] > 0)
    np.testing.assert_array_equal(difference[128:], 0)
    assert [published.get_layer(f"conv{number}").groups for number in range(1, 6)] == [1, 2, 1, 2, 2]


def test_biases_start_at_one_where_the_paper_has_them_so(published):
    ones = {"conv2", "conv4", "conv5", "dense1", "dense2"}
    assert biases(published) == {name: float(name in ones) for name in biases(published)}


def test_biases_may_start_elsewhere(varied):
    starts = {"conv2": 0.1, "conv4": 0.5, "conv5": 0.5, "dense1": 0.5, "dense2": 0.5}
    assert biases(varied) == {name: starts.get(name, 0.0) for name in biases(varied)}


def test_dense_layers_may_have_an_activation_of_their_own(varied):
    chosen = {
        layer.name: layer.activation.__name__ for layer in varied.layers if isinstance(layer, keras.layers.Activation)
    }
    assert chosen == {f"conv{n}_act": "relu" for n in range(1, 6)} | {f"dense{n}_act": "elu" for n in (1, 2)}


def test_zfnets_maps_shrink_as_published():
    network = zfnet((224, 224, 3), 10)
    assert sides(network, "conv1", "pool1", "conv2", "pool2", "pool3") == [110, 55, 26, 13, 6]


def test_zfnet_normalises_after_pooling_and_alexnet_before(published):
    assert published.get_layer("lrn1").output.shape[1] == published.get_layer("conv1").output.shape[1]
    assert sides(zfnet((53, 53, 3), 10), "lrn1", "pool1") == [13, 13]
