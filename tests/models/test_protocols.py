"""Layers, schedules, initializers and augmentations of one's own, which cnnlab knows by what they offer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError
from cnnlab.initializers.apply import apply_initializer
from cnnlab.models.network import build_preprocessing, fit_network
from cnnlab.schedules.warm_up import WarmUp

SHAPE = (4, 4, 1)
IMAGES = np.full((6, *SHAPE), 100, np.uint8)
TRAIN = Split(IMAGES, np.zeros(6, np.int32))


class Centred(keras.layers.Layer):
    """Subtracts the mean of the training images."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean")

    def adapt(self, data):
        self.mean.assign(np.mean([batch.mean() for batch in data]))

    def call(self, x):
        return x - self.mean


class Hiding(keras.layers.Layer):
    def __init__(self):
        super().__init__(name="hiding")
        self.centred = Centred(name="centred")

    def call(self, x):
        return self.centred(x)


def fitted(*layers: keras.layers.Layer) -> keras.Model:
    network = keras.Sequential([keras.Input(SHAPE), *layers], name="mine")
    preprocessing = build_preprocessing(OmegaConf.create({"rescaling": False}), SHAPE)
    fit_network(network, preprocessing, TRAIN, seed=0)
    return network


def test_a_layer_that_adapts_is_fitted_to_what_reaches_it():
    network = fitted(keras.layers.Rescaling(0.5), Centred())
    np.testing.assert_allclose(network(IMAGES.astype("float32")), 0, atol=1e-5)


def test_one_that_hides_in_another_is_refused_since_nobody_knows_what_reaches_it():
    with pytest.raises(UserError, match=r"^mine: centred is to be fitted to what reaches it, but lies inside"):
        fitted(Hiding())


def test_keras_own_keep_what_belongs_to_a_backbones_weights():
    network = fitted(keras.layers.Normalization(name="of_the_backbone"))
    np.testing.assert_allclose(network(IMAGES.astype("float32")), 100, rtol=1e-5)


class Following(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self):
        self.rate = tf.Variable(1.0)

    def __call__(self, step):
        return tf.convert_to_tensor(self.rate)

    def update(self, history):
        self.rate.assign(1.0 / (1 + len(history)))


def test_a_schedule_that_follows_the_history_does_so_behind_a_warm_up():
    schedule = WarmUp(Following(), 2)
    schedule.update([{}, {}, {}])
    assert [float(schedule(step)) for step in (0, 1, 5)] == [0.125, 0.25, 0.25]


class OfImages:
    """Sets every kernel to the mean of the images that it asks for."""

    batch_size = 3

    def __init__(self, seed):
        pass

    def apply(self, network, images):
        network.set_weights([np.full(weight.shape, images.mean()) for weight in network.get_weights()])


def test_an_initializer_that_looks_at_images_is_given_as_many_as_it_asks_for():
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(2, 3, use_bias=False)])
    node = OmegaConf.create({"_target_": f"{__name__}.OfImages", "name": "mine", "bias": None})
    apply_initializer(node, network, 0, lambda count: np.full((count, *SHAPE), float(count)))
    np.testing.assert_array_equal(network.get_weights()[0], 3)
