"""The optimizers as the configuration describes them: Keras's own, one file each."""

import inspect
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra import compose, initialize_config_module
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

import cnnlab.conf
from cnnlab.errors import UserError
from cnnlab.optimizers.optimizer import build_optimizer
from cnnlab.schedules.constant import Constant

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "optimizer").glob("*.yaml"))
IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype("float32")
LABELS = np.arange(8) % 3


def compose_optimizer(option: str, *overrides: str) -> DictConfig:
    with initialize_config_module("cnnlab.conf", version_base="1.3"):
        return compose(
            overrides=[f"+optimizer={option}", *(f"optimizer.{override}" for override in overrides)]
        ).optimizer


def make_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 2)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


def train(network: keras.Model, optimizer: keras.optimizers.Optimizer, steps: int) -> None:
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = keras.losses.sparse_categorical_crossentropy(LABELS, network(IMAGES), from_logits=True)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_takes_a_training_step(option):
    node = compose_optimizer(option)
    assert node.name == option
    network = make_network()
    before = [weight.numpy() for weight in network.trainable_variables]
    optimizer = build_optimizer(node, Constant(0.25))
    network.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(network.train_on_batch(IMAGES, LABELS))
    assert float(optimizer.learning_rate) == 0.25, "the schedule, not the file, gives the learning rate"
    after = [weight.numpy() for weight in network.trainable_variables]
    assert all((old != new).any() for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("option", OPTIONS)
def test_the_files_keep_the_defaults_of_keras(option):
    node = OmegaConf.to_container(compose_optimizer(option))
    target = node.pop("_target_")
    node = {key: value for key, value in node.items() if key != "name" and not key.startswith("lookahead_")}  # ours
    defaults = {name: parameter.default for name, parameter in inspect.signature(get_class(target)).parameters.items()}
    assert node == {name: defaults[name] for name in node}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_optimizer_decays_clips_and_averages(option):
    node = compose_optimizer(option, "weight_decay=0.01", "global_clipnorm=0.5", "use_ema=true", "ema_momentum=0.5")
    network = make_network()
    optimizer = build_optimizer(node, Constant(0.01))
    train(network, optimizer, steps=2)
    trained = network.trainable_variables[0].numpy()
    optimizer.finalize_variable_values(network.trainable_variables)
    assert (network.trainable_variables[0].numpy() != trained).any()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_optimizer_accumulates_gradients(option):
    network = make_network()
    optimizer = build_optimizer(compose_optimizer(option, "gradient_accumulation_steps=2"), Constant(0.01))
    before = network.trainable_variables[0].numpy()
    train(network, optimizer, steps=1)
    np.testing.assert_array_equal(network.trainable_variables[0], before)
    train(network, optimizer, steps=1)
    assert (network.trainable_variables[0].numpy() != before).any()


@pytest.mark.parametrize("option", OPTIONS)
def test_the_variables_are_all_there_is_to_restore(option):
    node = compose_optimizer(option, "use_ema=true")
    network, optimizer = make_network(), build_optimizer(node, Constant(0.01))
    train(network, optimizer, steps=2)
    resumed, successor = make_network(), build_optimizer(node, Constant(0.01))
    successor.build(resumed.trainable_variables)
    for old, new in zip(
        [*network.variables, *optimizer.variables], [*resumed.variables, *successor.variables], strict=True
    ):
        new.assign(old)
    train(network, optimizer, steps=2)
    train(resumed, successor, steps=2)
    for old, new in zip(network.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["clipnorm=1.0", "clipvalue=0.5"], r"Only one of .*clipnorm=1\.0, clipvalue=0\.5"),
        (["clipnorm=1.0", "global_clipnorm=1.0"], "Only one of"),
        (["gradient_accumulation_steps=1"], "must be an integer >= 2"),
        (["use_ema=true", "ema_momentum=1.5"], r"range \[0, 1\].*ema_momentum=1\.5"),
        (["momentum=2.0"], "momentum.*between"),
    ],
)
def test_what_keras_refuses_is_the_users_mistake_in_one_line(overrides, reason):
    with pytest.raises(UserError, match=f"^optimizer: .*{reason}") as caught:
        build_optimizer(compose_optimizer("sgd", *overrides), Constant(0.01))
    assert "\n" not in str(caught.value)


def test_gradients_accumulate_on_one_replica_only():
    program = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from omegaconf import OmegaConf
from cnnlab.errors import UserError
from cnnlab.optimizers.optimizer import build_optimizer
node = OmegaConf.create({"_target_": "keras.optimizers.SGD", "gradient_accumulation_steps": 4})
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    try:
        build_optimizer(node, 0.1)
    except UserError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "optimizer.gradient_accumulation_steps=4: Keras cannot accumulate gradients on 2 replicas" in result.stdout
