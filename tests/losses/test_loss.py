"""What training minimises, against plain NumPy."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from cnnlab.data.dataset import Dataset, Split
from cnnlab.errors import UserError
from cnnlab.losses.class_weight import class_weights
from cnnlab.losses.crossentropy import Crossentropy
from cnnlab.losses.focal import Focal
from cnnlab.losses.keras_loss import KerasLoss
from cnnlab.losses.loss import WeightedLoss, build_loss, require_whole_labels

LOGITS = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
LABELS = np.array([0, 1, 2, 2, 1, 0])
TARGETS = np.eye(3, dtype="float32")[LABELS]
LOG_PROBABILITIES = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))


def test_without_options_it_is_the_crossentropy_in_nats():
    losses = WeightedLoss(Crossentropy(), 3)(TARGETS, [LOGITS]).numpy()
    np.testing.assert_allclose(losses, -LOG_PROBABILITIES[np.arange(6), LABELS], rtol=1e-5)


def test_label_smoothing_spreads_its_share_over_all_classes():
    targets = np.eye(3)[LABELS] * 0.7 + 0.3 / 3
    losses = WeightedLoss(Crossentropy(label_smoothing=0.3), 3)(TARGETS, [LOGITS]).numpy()
    np.testing.assert_allclose(losses, -(targets * LOG_PROBABILITIES).sum(axis=1), rtol=1e-5)


def test_class_weights_multiply_the_losses_of_their_class():
    weights = np.array([1, 2, 0.5], "float32")
    np.testing.assert_allclose(
        WeightedLoss(Crossentropy(), 3, class_weight=weights)(TARGETS, [LOGITS]),
        weights[LABELS] * WeightedLoss(Crossentropy(), 3)(TARGETS, [LOGITS]).numpy(),
    )


def test_each_class_of_a_mixed_label_costs_its_own_weight():
    mixed = 0.25 * TARGETS + 0.75 * np.roll(TARGETS, 1, axis=0)
    weights = np.array([9.0, 1.0, 0.0], "float32")
    losses = WeightedLoss(Crossentropy(), 3, class_weight=weights)(mixed, [LOGITS]).numpy()
    np.testing.assert_allclose(losses, -(mixed * weights * LOG_PROBABILITIES).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("loss", ["Hinge", "SquaredHinge", "CategoricalHinge"])
def test_an_example_that_counts_nothing_leaves_keras_losses_of_the_others_as_they_are(loss):
    function = KerasLoss(getattr(keras.losses, loss)())
    weights = np.array([0.0, 1.0, 1.0], "float32")
    losses = WeightedLoss(function, 3, class_weight=weights)(TARGETS, [LOGITS])
    alone = WeightedLoss(function, 3)(TARGETS, [LOGITS])
    np.testing.assert_allclose(losses, weights[LABELS] * alone.numpy(), rtol=1e-6)


def test_a_mixed_label_costs_its_share_of_each_class():
    mixed = 0.25 * TARGETS + 0.75 * np.roll(TARGETS, 1, axis=0)
    losses = WeightedLoss(Crossentropy(), 3, class_weight=np.ones(3, "float32"))(mixed, [LOGITS]).numpy()
    np.testing.assert_allclose(losses, -(mixed * LOG_PROBABILITIES).sum(axis=1), rtol=1e-5)


def test_auxiliary_heads_add_their_share():
    auxiliary = np.roll(LOGITS, 1, axis=0)
    alone, both = WeightedLoss(Crossentropy(), 3), WeightedLoss(Crossentropy(), 3, auxiliary_weight=0.3)
    expected = alone(TARGETS, [LOGITS]) + 0.3 * (alone(TARGETS, [auxiliary]) + alone(TARGETS, [LOGITS]))
    np.testing.assert_allclose(both(TARGETS, [LOGITS, auxiliary, LOGITS]), expected, rtol=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 1, 1, 1, 1, 2, 2]])
def test_balanced_weights_average_to_one_and_make_classes_count_alike(labels):
    labels = np.array(labels, "int32")
    split = Split(np.zeros((len(labels), 2, 2, 1), "uint8"), labels)
    dataset = Dataset("toy", (2, 2, 1), ("a", "b", "c"), {"train": split})
    logits = np.zeros((len(labels), 3), "float32")
    loss = WeightedLoss(Crossentropy(), 3, class_weights("balanced", dataset))
    losses = loss(np.eye(3, dtype="float32")[labels], [logits]).numpy() / np.log(3)
    assert losses.mean() == pytest.approx(1)
    totals = [losses[labels == label].sum() for label in np.unique(labels)]
    assert totals == pytest.approx([totals[0]] * len(totals))


def test_classes_without_a_weight_count_once_which_is_told(caplog):
    caplog.set_level("INFO", "cnnlab")
    dataset = Dataset("toy", (2, 2, 1), ("a", "b", "c"), {})
    assert class_weights({"b": 2}, dataset).tolist() == [1, 2, 1]
    assert class_weights({"a": 3, "b": 2, "c": 1}, dataset).tolist() == [3, 2, 1]
    with pytest.raises(
        UserError, match=r"^loss\.class_weight\.False: .*; a name such as no, on or 07 is written in quo"
    ):
        class_weights({False: 2}, dataset)  # what YAML makes of `no: 2`
    assert caplog.messages == ["loss.class_weight: names no weight of a, c; it is 1"]


def test_auxiliary_heads_without_a_weight_are_refused():
    config = OmegaConf.create({"model": {"name": "mine"}})
    with pytest.raises(UserError, match=r"model\.auxiliary_loss_weight: is missing, and mine has 3 outputs; give \+"):
        build_loss(config, Dataset("toy", (2, 2, 1), ("a", "b"), {}), 3)


PROBABILITIES = np.exp(LOG_PROBABILITIES)
OF_THE_LABEL = PROBABILITIES[np.arange(6), LABELS]
SIGMOIDS = 1 / (1 + np.exp(-LOGITS))


def built(target: str | object, **arguments) -> WeightedLoss:
    name = target if isinstance(target, str) else f"{__name__}.{target.__name__}"
    loss = {"_target_": name, "name": "mine", "class_weight": None, **arguments}
    config = OmegaConf.create({"model": {"name": "mine"}, "loss": loss})
    return build_loss(config, Dataset("toy", (2, 2, 1), ("a", "b", "c"), {}), 1)


def of_examples(target: str | object, **arguments) -> np.ndarray:
    return built(target, **arguments)(TARGETS, [LOGITS]).numpy()


def test_focal_counts_the_sure_ones_less():
    expected = -((1 - OF_THE_LABEL) ** 2) * np.log(OF_THE_LABEL)
    np.testing.assert_allclose(of_examples("cnnlab.losses.focal.Focal", gamma=2.0), expected, rtol=1e-5)
    plain = WeightedLoss(Crossentropy(), 3)(TARGETS, [LOGITS])
    np.testing.assert_allclose(of_examples("cnnlab.losses.focal.Focal", gamma=0.0), plain, rtol=1e-5)


def test_focal_teaches_where_the_network_is_utterly_wrong_or_right():
    """Keras's own has no gradient below a probability of 1e-7."""
    logits = tf.constant([[60.0, 0.0], [-60.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = Focal(gamma=0.5)(tf.constant([[1.0, 0.0], [1.0, 0.0]]), logits)
    gradient = tape.gradient(losses, logits).numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1], [-1, 1], rtol=1e-5)


def test_one_sigmoid_per_class_has_a_binary_crossentropy_each():
    expected = -(TARGETS * np.log(SIGMOIDS) + (1 - TARGETS) * np.log(1 - SIGMOIDS)).mean(axis=1)
    np.testing.assert_allclose(of_examples("keras.losses.BinaryCrossentropy"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "told"), [("BinaryCrossentropy", 1), ("BinaryFocalCrossentropy", 1), ("CategoricalFocalCrossentropy", 0)]
)
def test_that_a_loss_trains_sigmoids_and_the_softmax_is_given_is_told(name, told, caplog):
    with caplog.at_level(logging.INFO):
        built(f"keras.losses.{name}")
    assert caplog.text.count("trains a sigmoid per class; eval, predict and model.keras give the softmax") == told


KERAS = {
    "a loss that knows logits is given them": ("CategoricalCrossentropy", -np.log(OF_THE_LABEL)),
    "so is one of whole labels, with these": ("SparseCategoricalCrossentropy", -np.log(OF_THE_LABEL)),
    "a margin is one of logits": (
        "CategoricalHinge",
        np.maximum(0, ((1 - TARGETS) * LOGITS).max(1) - (TARGETS * LOGITS).sum(1) + 1),
    ),
    "others are given probabilities": ("MeanSquaredError", ((TARGETS - PROBABILITIES) ** 2).mean(axis=1)),
}


@pytest.mark.parametrize("case", KERAS)
def test_a_loss_of_keras_is_per_example(case):
    name, expected = KERAS[case]
    np.testing.assert_allclose(of_examples(f"keras.losses.{name}"), expected, rtol=1e-4, atol=1e-6)


class Squared(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.sum((y_true - y_pred) ** 2, axis=-1)


class SquaredOfProbabilities(Squared):
    from_logits = False


def margin(targets, logits, least=1.0):
    return tf.reduce_sum(targets * (least - logits), axis=-1)


def test_ones_own_is_given_logits_unless_it_says_otherwise():
    np.testing.assert_allclose(of_examples(Squared), ((TARGETS - LOGITS) ** 2).sum(1), rtol=1e-5)
    expected = ((TARGETS - PROBABILITIES) ** 2).sum(1)
    np.testing.assert_allclose(of_examples(SquaredOfProbabilities), expected, rtol=1e-5)


def test_a_plain_function_is_named_with_partial():
    expected = 3 - LOGITS[np.arange(6), LABELS]
    np.testing.assert_allclose(of_examples(margin, _partial_=True, least=3.0), expected, rtol=1e-5)


class Constant:
    def __call__(self, targets, logits):
        return tf.reduce_mean(logits)


class PerClass:
    def __call__(self, targets, logits):
        return targets * logits


class OfTheBatch:
    def __call__(self, targets, logits):
        return tf.reduce_sum(targets * (logits - tf.reduce_mean(logits, axis=0)), axis=-1)


class NoFunction:
    pass


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        (
            Constant,
            {},
            r"loss=mine: returns the shape \[\] for 4 examples, not one value per example, \[4\]; sum",
        ),
        (PerClass, {}, r"loss=mine: returns the shape \[4,3\] for 4 examples, not one value per example"),
        ("keras.losses.Dice", {}, r"loss=mine: returns the shape \[\] for 4 examples"),
        (OfTheBatch, {}, "loss=mine: what an example costs depends on the others of its batch"),
        (NoFunction, {}, r"loss=mine: .*NoFunction returns NoFunction, not a function of targets and logits"),
        ("keras.losses.Loss", {}, r"loss=mine: cannot be computed from targets and logits of \[4,3\]; NotImplemented"),
        (Squared, {"reduction": "sum"}, r"loss\.reduction=sum: the training step sums the examples itself"),
    ],
)
def test_what_is_not_one_value_per_example_is_refused_in_one_line(target, arguments, message):
    with pytest.raises(UserError, match=f"^{message}") as refused:
        built(target, **arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "Hinge", "SquaredHinge"])
def test_a_loss_of_whole_labels_is_not_given_mixed_ones(name):
    loss = built(f"keras.losses.{name}")
    require_whole_labels(loss, None, "mine")
    with pytest.raises(UserError, match=r"^loss=mine: knows whole labels only, which augmentation=mixup mixes; leave"):
        require_whole_labels(loss, "mixup", "mine")
    require_whole_labels(built("cnnlab.losses.focal.Focal"), "mixup", "mine")
