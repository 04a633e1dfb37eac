"""What training minimises, against plain NumPy."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from cnnlab.data.dataset import Dataset, Split
from cnnlab.errors import UserError
from cnnlab.losses.class_weight import class_weights
from cnnlab.losses.crossentropy import Crossentropy
from cnnlab.losses.loss import WeightedLoss, build_loss

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


def test_auxiliary_heads_without_a_weight_are_refused():
    config = OmegaConf.create({"model": {"name": "mine"}})
    with pytest.raises(UserError, match=r"model\.auxiliary_loss_weight: is missing, and mine has 3 outputs; give \+"):
        build_loss(config, Dataset("toy", (2, 2, 1), ("a", "b"), {}), 3)
