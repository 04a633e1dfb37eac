"""The optimizers as the configuration describes them: Keras's own, one file each."""

import inspect
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
from cnnlab.optimizers.optimizer import build_lookahead, build_optimizer
from cnnlab.schedules.constant import Constant

OPTIONS = sorted(path.stem for path in (Path(cnnlab.conf.__file__).parent / "optimizer").glob("*.yaml"))
OTHERS = {"adafactor": {"epsilon_1": 1e-16}}
"""Where an option has another default than Keras, of which its file tells why."""

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
def test_the_files_keep_the_defaults_of_keras(option):
    node = OmegaConf.to_container(compose_optimizer(option))
    target = node.pop("_target_")
    node = {key: value for key, value in node.items() if key != "name" and not key.startswith(("lookahead_", "layer_"))}
    defaults = {name: parameter.default for name, parameter in inspect.signature(get_class(target)).parameters.items()}
    assert node == {name: defaults[name] for name in node} | OTHERS.get(option, {})


def test_adafactor_leaves_a_kernel_of_which_an_input_and_an_output_have_no_gradient_finite():
    kernel = keras.Variable(np.ones((3, 3, 8, 8), "float32"))
    optimizer = build_optimizer(compose_optimizer("adafactor"), Constant(0.001))
    optimizer.build([kernel])
    gradient = np.random.default_rng(0).normal(0, 1e-3, kernel.shape).astype("float32")
    gradient[:, :, 2], gradient[..., 5] = 0, 0  # as between two channels that no ReLU lets through
    optimizer.apply([tf.constant(gradient)], [kernel])
    assert np.isfinite(kernel).all()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_optimizer_trains_decays_clips_and_averages_and_its_variables_are_all_there_is_to_restore(option):
    node = compose_optimizer(option, "weight_decay=0.01", "global_clipnorm=0.5", "use_ema=true", "ema_momentum=0.5")
    assert node.name == option
    network, optimizer = make_network(), build_optimizer(node, Constant(0.25))
    assert float(optimizer.learning_rate) == 0.25, "the schedule, not the file, gives the learning rate"
    before = [weight.numpy() for weight in network.trainable_variables]
    train(network, optimizer, steps=2)
    for old, new in zip(before, network.trainable_variables, strict=True):
        assert np.isfinite(new).all()
        assert (old != new.numpy()).any()
    resumed, successor = make_network(), build_optimizer(node, Constant(0.25))
    successor.build(resumed.trainable_variables)
    for old, new in zip(
        [*network.variables, *optimizer.variables], [*resumed.variables, *successor.variables], strict=True
    ):
        new.assign(old)
    train(network, optimizer, steps=1)
    train(resumed, successor, steps=1)
    for old, new in zip(network.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(old, new)
    optimizer.finalize_variable_values(network.trainable_variables)
    assert (network.trainable_variables[0].numpy() != resumed.trainable_variables[0].numpy()).any()


def test_gradients_are_accumulated():
    network = make_network()
    optimizer = build_optimizer(compose_optimizer("adam", "gradient_accumulation_steps=2"), Constant(0.01))
    before = network.trainable_variables[0].numpy()
    train(network, optimizer, steps=1)
    np.testing.assert_array_equal(network.trainable_variables[0], before)
    train(network, optimizer, steps=1)
    assert (network.trainable_variables[0].numpy() != before).any()


def test_that_a_moving_average_counts_batches_where_gradients_are_accumulated_is_told(caplog):
    average = ("use_ema=true", "ema_momentum=0.9")
    build_optimizer(compose_optimizer("adam", *average), Constant(0.01))
    build_optimizer(compose_optimizer("adam", "gradient_accumulation_steps=4"), Constant(0.01))
    assert caplog.messages == []
    node = compose_optimizer("sgd", *average, "gradient_accumulation_steps=4")
    network, optimizer = make_network(), build_optimizer(node, Constant(1.0))
    (told,) = caplog.messages
    assert told.startswith("optimizer.ema_momentum=0.9: Keras averages after each batch, and 4 of them make an update")
    assert told.endswith("the average keeps 0.656 of itself")
    train(network, optimizer, steps=4)  # the first update, from which the average starts
    first = network.trainable_variables[0].numpy()
    train(network, optimizer, steps=4 + 3)  # the second one, until just before the third
    second = network.trainable_variables[0].numpy()
    optimizer.finalize_variable_values(network.trainable_variables)
    np.testing.assert_allclose(network.trainable_variables[0], 0.9**4 * first + (1 - 0.9**4) * second, rtol=1e-4)


def test_a_lookahead_counts_updates_also_where_gradients_are_accumulated():
    node = compose_optimizer("sgd", "lookahead_every=3", "gradient_accumulation_steps=2")
    weight = keras.Variable(np.zeros(1, "float32"))
    lookahead = build_lookahead(node, [weight], total_steps=12)
    met = []
    for step in range(1, 13):
        weight.assign([step])
        lookahead.after(tf.constant(step, tf.int64))
        met += [step] if weight.numpy() != step else []
    assert met == [6, 12]


def test_that_ftrl_forgets_the_weights_it_starts_from_is_told_and_so(caplog):
    network, optimizer = make_network(), build_optimizer(compose_optimizer("ftrl"), Constant(0.01))
    assert caplog.messages == [
        "optimizer=ftrl: makes weights of their gradients alone: its first update brings those that the initializer or "
        "weights=FILE gave nearly to 0, unless gradients are large"
    ]
    kernel, *_ = weights = network.trainable_variables
    before = kernel.numpy()
    optimizer.apply([tf.fill(weight.shape, 0.01) for weight in weights], weights)
    assert np.linalg.norm(kernel) < 0.01 * np.linalg.norm(before)


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
