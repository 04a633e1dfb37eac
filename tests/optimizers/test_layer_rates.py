"""Learning rates by layer, against plain optimizers that are run for each layer alone."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab import cli
from cnnlab.errors import UserError
from cnnlab.optimizers.layer_rates import layer_rates, set_layer_rates

STEPS = 4


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(3, 3, name="conv1")(images)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.Conv2D(3, 3, name="conv2")(x)
    return keras.Model(images, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x)))


def updated(optimizer: keras.optimizers.Optimizer, first: int = 0, **rates: object) -> dict[str, np.ndarray]:
    """The weights after updates with gradients that depend on the step alone, of which the first is that of `first`."""
    net = network()
    variables = net.trainable_variables
    optimizer.build(variables)
    node = {"name": "x", "layer_multipliers": {}, "layer_decay": None, "layer_starts": {}, **rates}
    set_layer_rates(optimizer, OmegaConf.create(node), net, steps_per_epoch=2, total_steps=STEPS)
    for step in range(first, STEPS):
        optimizer.apply([tf.fill(v.shape, (step + 1.0) * (n + 1)) for n, v in enumerate(variables)], variables)
    return {variable.path: variable.numpy() for variable in variables}


@pytest.mark.parametrize(
    "make",
    [
        lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1, use_ema=True),
    ],
    ids=["sgd", "adamw"],
)
class TestALayer:
    def test_learns_at_a_multiple_of_the_learning_rate_weight_decay_too(self, make):
        mixed = updated(make(0.1), layer_multipliers={"*": 0.5, "logits": 1})
        half, whole = updated(make(0.05)), updated(make(0.1))
        for path, weights in mixed.items():
            expected = whole if path.startswith("logits") else half
            np.testing.assert_allclose(weights, expected[path], rtol=1e-5, err_msg=path)

    def test_stays_as_it_is_until_its_start_and_gathers_no_momentum(self, make):
        late = updated(make(0.1), layer_starts={"conv*": "1 epoch"})
        plain = updated(make(0.1))
        initial = {variable.path: variable.numpy() for variable in network().trainable_variables}
        np.testing.assert_array_equal(late["logits/kernel"], plain["logits/kernel"])
        assert not np.allclose(late["conv1/kernel"], plain["conv1/kernel"])
        never = updated(make(0.1), layer_starts={"conv*": f"{STEPS} steps"})
        np.testing.assert_array_equal(never["conv1/kernel"], initial["conv1/kernel"])


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.1, momentum=0.9, centered=True),
    "adam": lambda: keras.optimizers.Adam(0.1, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.1, use_ema=True),
    **{
        name.lower(): lambda name=name: getattr(keras.optimizers, name)(0.1)
        for name in ("Adadelta", "Adafactor", "Adagrad", "Adamax", "Lamb", "Lion")
    },
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_layer_that_starts_later_moves_as_one_whose_optimizer_begins_then(name):
    late = updated(OPTIMIZERS[name](), layer_starts={"conv1": "2 steps"})
    begun_then = updated(OPTIMIZERS[name](), first=2)
    np.testing.assert_allclose(late["conv1/kernel"], begun_then["conv1/kernel"], rtol=1e-6)
    assert not np.allclose(late["conv2/kernel"], begun_then["conv2/kernel"], rtol=1e-6)


@pytest.mark.parametrize(
    "rates", [{"layer_starts": {"*1": "9 steps", "conv2": "9 steps"}}, {"layer_multipliers": {"*1": 0.0, "conv2": 0.0}}]
)
def test_gradients_are_clipped_by_the_norm_of_the_layers_that_move(rates):
    resting = updated(keras.optimizers.SGD(1.0, global_clipnorm=1.0), **rates)
    model = network()
    moving = model.get_layer("logits").trainable_variables
    frozen = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    frozen.build(moving)
    number = len(model.trainable_variables) - len(moving) + 1
    for step in range(STEPS):
        frozen.apply([tf.fill(v.shape, (step + 1.0) * (number + n)) for n, v in enumerate(moving)], moving)
    for variable in moving:
        np.testing.assert_allclose(resting[variable.path], variable.numpy(), rtol=1e-6, err_msg=variable.path)


def test_starts_count_batches_where_gradients_are_accumulated():
    late, begun_then = (
        updated(keras.optimizers.Adam(0.1, gradient_accumulation_steps=2), **given)
        for given in ({"layer_starts": {"*": "2 steps"}}, {"first": 2})
    )
    for path, weights in late.items():
        np.testing.assert_allclose(weights, begun_then[path], rtol=1e-6, err_msg=path)
    assert not np.allclose(late["logits/kernel"], network().get_layer("logits").kernel)


def test_decay_falls_from_the_last_layer_with_a_kernel_and_norms_follow_theirs():
    rates = {rate.layer: rate.multiplier for rate in layer_rates(network(), {"norm1": 2}, 0.5, {})}
    assert rates == {"conv1": 0.25, "norm1": 0.5, "conv2": 0.5, "logits": 1.0}


def test_layers_beside_one_another_decay_alike_whatever_the_order_of_the_variables():
    images = keras.Input((6, 6, 1))
    stem = keras.layers.Conv2D(3, 3, padding="same", name="stem")(images)
    early = keras.layers.Dense(2, name="early_head")(keras.layers.GlobalAveragePooling2D()(stem))
    narrow = keras.layers.Conv2D(3, 1, name="narrow")(stem)
    wide = keras.layers.Conv2D(3, 3, padding="same", name="wide")(keras.layers.Conv2D(3, 1, name="reduce")(stem))
    both = keras.layers.GlobalAveragePooling2D()(keras.layers.Concatenate()([narrow, wide]))
    net = keras.Model(images, [keras.layers.Dense(2, name="head")(both), early])
    rates = {rate.layer: rate.multiplier for rate in layer_rates(net, {}, 0.5, {})}
    assert rates == {"stem": 0.125, "early_head": 0.25, "narrow": 0.25, "reduce": 0.25, "wide": 0.5, "head": 1.0}


def test_blocks_whose_layers_have_the_same_names_decay_by_their_place():
    def block(number: int) -> keras.Model:
        images = keras.Input((6, 6, 3))
        return keras.Model(images, keras.layers.Conv2D(3, 1, name="conv")(images), name=f"block{number}")

    images = keras.Input((6, 6, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(block(2)(block(1)(images)))
    net = keras.Model(images, keras.layers.Dense(2, name="logits")(pooled))
    assert [rate.multiplier for rate in layer_rates(net, {}, 0.5, {})] == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]


def test_layers_inside_of_a_model_without_a_graph_decay_as_they_are_listed():
    class Pair(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = keras.layers.Dense(3, name="first"), keras.layers.Dense(3, name="second")

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return self.second(self.first(x))

    net = keras.Sequential([keras.Input((4,)), Pair(), keras.layers.Dense(2, name="logits")])
    rates = [rate.multiplier for rate in layer_rates(net, {}, 0.5, {})]
    assert rates == [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]


def test_the_last_pattern_that_fits_counts():
    rates = layer_rates(network(), {"*": 0.1, "conv*": 0.2, "conv2": 0.3}, None, {"conv?": 7})
    assert {(rate.layer, rate.multiplier, rate.start) for rate in rates} == {
        ("conv1", 0.2, 7),
        ("conv2", 0.3, 7),
        ("norm1", 0.1, 0),
        ("logits", 0.1, 0),
    }


def test_a_name_that_fits_no_layer_is_refused():
    with pytest.raises(UserError, match=r"^optimizer.layer_multipliers.cnv1: no layer .*; did you mean conv1\?"):
        layer_rates(network(), {"cnv1": 0.1}, None, {})


def test_the_slopes_of_a_prelu_are_no_kernel_and_follow_the_layer_before_them():
    images = keras.Input((6, 6, 1))
    x = keras.layers.PReLU(shared_axes=[1, 2], name="prelu")(keras.layers.Conv2D(3, 3, name="conv")(images))
    net = keras.Model(images, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x)))
    rates = {rate.layer: rate.multiplier for rate in layer_rates(net, {}, 0.5, {})}
    assert rates == {"conv": 0.5, "prelu": 0.5, "logits": 1.0}


@pytest.mark.parametrize(("key", "value"), [("layer_starts", "2 steps"), ("layer_multipliers", 0)])
def test_ftrl_which_can_leave_no_layer_as_it_is_is_refused(key, value):
    with pytest.raises(UserError, match=r"^optimizer=x: makes weights of .*, so conv1 cannot stay as it is"):
        updated(keras.optimizers.Ftrl(0.1), **{key: {"conv1": value}})


def test_nadam_which_counts_for_all_layers_together_is_refused_where_one_begins_later():
    with pytest.raises(UserError, match=r"^optimizer\.layer_starts: conv1 begins later, .*; use optimizer=adam"):
        updated(keras.optimizers.Nadam(0.1), layer_starts={"conv1": "2 steps"})


def test_an_optimizer_with_weight_decay_of_its_own_is_refused():
    with pytest.raises(UserError, match=r"^optimizer=x: decays weights in a way of its own.*leave layer_decay out"):
        updated(keras.optimizers.Muon(), layer_decay=0.5)


def test_a_training_tells_them_and_resumes_exactly(train, caplog):
    rates = ["optimizer.layer_multipliers={*:0.1,logits:1}", "optimizer.layer_starts={conv1:2 steps}"]
    arguments = ["trainer.batch_size=400", *rates]
    with caplog.at_level(logging.INFO):
        whole = train(*arguments, "trainer.epochs=2")
    told = "learning rates by layer: conv1 times 0.1 from step 3 on; conv2 to dense1 times 0.1; logits times 1"
    assert told in caplog.text
    cut = train(*arguments, "trainer.epochs=1")
    assert cli.main(["train", f"resume={cut}", "trainer.epochs=2", "trainer.progress=none"]) == 0
    ours, theirs = (keras.models.load_model(run / "last.keras").get_weights() for run in (whole, cut))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.layer_decay=1.5", "optimizer.layer_decay=1.5: must be between 0 and 1"),
        ("optimizer.layer_multipliers={conv1:-1}", "optimizer.layer_multipliers.conv1=-1: must be at least 0"),
        ("optimizer.layer_starts={conv1:soon}", "optimizer.layer_starts.conv1=soon: is no duration"),
        ("optimizer.layer_multipliers={cnv1:0.1}", "did you mean conv1?"),
    ],
)
def test_bad_values_are_one_line(override, message, capsys):
    assert cli.main(["train", override, "trainer.steps=1"]) == 2
    assert message in capsys.readouterr().err
