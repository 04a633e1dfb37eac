"""Every option of the group `augmentation` does its work in a training step."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra import compose, initialize_config_module

import cnnlab.conf
from cnnlab.augmentation.draws import Draws
from cnnlab.config.build import instantiate

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "augmentation").glob("*.yaml"))


def build(*overrides: str):
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        config = compose(overrides=["+dataset.image_shape=[8,8,3]", *overrides])
    return config.augmentation, instantiate(config.augmentation)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_takes_a_training_step(option):
    node, augmentation = build(f"+augmentation={option}")
    assert node.name == option
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    augmented = augmentation(tf.constant(images), Draws(tf.constant([0, 0]), 4, 0, 4))
    assert augmented.shape == images.shape
    assert augmented.dtype == tf.uint8
    assert np.isfinite(network.train_on_batch(tf.cast(augmented, tf.float32) / 255, np.array([0, 1, 0, 1])))


def test_none_changes_nothing():
    _, augmentation = build("+augmentation=none")
    images = tf.constant(np.arange(2 * 8 * 8 * 3).reshape(2, 8, 8, 3) % 256, tf.uint8)
    np.testing.assert_array_equal(augmentation(images, Draws(tf.constant([0, 0]), 2, 0, 2)), images)
