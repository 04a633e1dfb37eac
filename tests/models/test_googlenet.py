"""GoogLeNet."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.models.blocks import Blocks, Collapsed
from cnnlab.models.googlenet import googlenet, inception
from cnnlab.models.network import build_preprocessing, export

SMALL = (65, 65, 3)


@pytest.fixture(scope="module")
def published() -> keras.Model:
    return googlenet((224, 224, 3), 1000, auxiliary_heads=True)


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *SMALL), np.float32)


def test_it_has_the_published_size(published):
    assert published.count_params() == 13_378_280
    assert googlenet((224, 224, 3), 1000).count_params() == 6_998_552


def test_it_has_the_published_maps(published):
    layers = ("conv1", "pool1", "conv2", "pool2", "inception_3b", "inception_4a", "inception_4e", "inception_5b")
    shapes = [published.get_layer(name).output.shape[1:] for name in layers]
    sides = [height for height, _, _ in shapes]
    assert sides == [112, 56, 56, 28, 28, 14, 14, 7]
    assert [channels for _, _, channels in shapes] == [64, 64, 192, 192, 480, 512, 832, 1024]


def test_the_logits_that_count_come_first(published):
    assert published.output_names == ["logits", "auxiliary1", "auxiliary2"]
    assert published.output_shape == [(None, 1000)] * 3


def test_an_inception_module_lays_its_branches_side_by_side():
    x = keras.Input((5, 6, 3))
    module = keras.Model(x, inception(Blocks(), x, "module", 1, (2, 3), (4, 5), 7))
    maps = np.asarray(module(images()[:, :5, :6]))
    assert maps.shape == (2, 5, 6, 1 + 3 + 5 + 7)
    branches = [f"module_{name}_act" for name in ("1x1", "3x3", "5x5", "pool_projection")]
    outputs = keras.Model(x, [module.get_layer(name).output for name in branches])(images()[:, :5, :6])
    np.testing.assert_array_equal(maps, np.concatenate(outputs, axis=-1))


def test_every_head_reaches_every_layer_before_it():
    network = googlenet(SMALL, 3, auxiliary_heads=True)
    with tf.GradientTape(persistent=True) as tape:
        outputs = [tf.reduce_sum(tf.square(logits)) for logits in network(images(), training=True)]
    kernels = {name: network.get_layer(name).kernel.value for name in ("conv1", "inception_4d_1x1", "inception_5b_1x1")}
    reached = {
        name: [tape.gradient(output, kernel) is not None for output in outputs] for name, kernel in kernels.items()
    }
    assert reached == {
        "conv1": [True, True, True],
        "inception_4d_1x1": [True, False, True],
        "inception_5b_1x1": [True, False, False],
    }


def test_auxiliary_heads_need_65_pixels():
    with pytest.raises(Collapsed) as error:
        googlenet((64, 65, 3), 3, auxiliary_heads=True)
    assert (error.value.layer, error.value.height, error.value.width) == ("auxiliary1_pool", 4, 5)
    assert googlenet((8, 8, 1), 3).output_shape == (None, 3)


def test_an_exported_model_answers_with_the_first_head(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = googlenet(SMALL, 3, auxiliary_heads=True)
    assert {logits.dtype for logits in network(images())} == {tf.float32}
    exported = export(build_preprocessing(OmegaConf.create({"rescaling": True}), SMALL), network)
    exported.save(tmp_path / "model.keras")
    pixels = (images() * 255).astype("uint8")
    probabilities = keras.models.load_model(tmp_path / "model.keras")(pixels)
    np.testing.assert_array_equal(probabilities, exported(pixels))
    assert probabilities.shape == (2, 3)


def test_its_options_act():
    network = googlenet(SMALL, 3, auxiliary_heads=True, dropout=0, auxiliary_dropout=0, batch_norm=True, l2=0.1)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("BatchNormalization") == 57 + 2 * 2  # 57 convolutions, two hidden layers in each head
    assert len(network.losses) == kinds.count("Conv2D") + kinds.count("Dense") == 57 + 1 + 2 * 3
    assert "Dropout" not in kinds
    rates = {
        layer.name: layer.rate for layer in googlenet(SMALL, 3, auxiliary_heads=True).layers if hasattr(layer, "rate")
    }
    assert rates == {"dropout": 0.4, "auxiliary1_dense_dropout": 0.7, "auxiliary2_dense_dropout": 0.7}
