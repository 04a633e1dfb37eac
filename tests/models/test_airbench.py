"""The network of airbench94."""

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from cnnlab.data.dataset import Split
from cnnlab.models.airbench import airbench
from cnnlab.models.network import build_preprocessing, fit_network, fit_preprocessing

SHAPE = (32, 32, 3)


def small(**arguments) -> keras.Model:
    return airbench(SHAPE, 10, widths=(28, 32, 32), **arguments)


def test_its_maps_shrink_as_published():
    network = small()
    names = ("whitening", "conv1", "conv1_bn", "conv3_bn", "conv5_bn", "pool")
    assert [network.get_layer(name).output.shape[1] for name in names] == [31, 31, 15, 7, 3, 1]


def test_all_is_trained_but_whitening_kernels_and_statistics_and_nothing_scales():
    network = small()
    normalisations = [f"conv{number}_bn" for number in range(1, 7)]
    fixed = {weight.path for weight in network.non_trainable_weights}
    statistics = {f"{name}/moving_{statistic}" for name in normalisations for statistic in ("mean", "variance")}
    assert fixed == {"whitening/kernel"} | statistics
    assert {network.get_layer(name).scale for name in normalisations} == {False}
    assert not any(
        layer.use_bias for layer in network.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    )


def test_convolutions_start_by_passing_their_input_on():
    network = small()
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    network.get_layer("whitening").adapt(images)
    names = ("conv3_act", "conv4")
    before, after = keras.Model(network.input, [network.get_layer(name).output for name in names])(images)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_the_whitening_is_fitted_to_what_the_preprocessing_makes_of_the_training_images():
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    images[..., 1] //= 3
    split = Split(np.repeat(images, 4, axis=1).repeat(4, axis=2), np.zeros(64, np.int32))
    preprocessing = build_preprocessing(OmegaConf.create({"rescaling": True, "normalization": True}), SHAPE)
    fit_preprocessing(preprocessing, split, seed=0)
    network = small()
    fit_network(network, preprocessing, split, seed=0)
    whitened = keras.Model(network.input, network.get_layer("whitening").output)(preprocessing(split.images)).numpy()
    flat = whitened[..., :12].reshape(-1, 12)
    moments = flat.T @ flat / len(flat)
    np.testing.assert_allclose(moments, np.diag(np.diag(moments)), atol=1e-3)
    assert np.diag(moments) == pytest.approx(1, abs=0.1)


def test_l2_counts_every_trained_weight():
    network = small(l2=0.1)
    for weight in network.trainable_weights:
        weight.assign(np.ones(weight.shape))
    count = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert float(sum(network.losses)) == pytest.approx(0.1 * count, rel=1e-5)
