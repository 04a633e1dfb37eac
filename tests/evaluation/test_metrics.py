"""The figures of a split, against numbers worked out by hand or by plain NumPy."""

import warnings

import numpy as np
import pytest
from scipy import special

from cnnlab.evaluation.metrics import (
    calibration,
    confusion,
    expected_calibration_error,
    per_class,
    summarize,
    true_rank,
)
from cnnlab.reporting.describe import describe

CLASSES = ("cat", "dog", "emu")
TRUE = np.array([0, 0, 0, 1, 1, 1])
PREDICTED = np.array([0, 0, 1, 1, 1, 0])  # nobody is an emu, and nobody is taken for one


@pytest.fixture
def probabilities(rng) -> np.ndarray:
    return rng.dirichlet(np.full(10, 0.3), 400).astype(np.float32)


@pytest.fixture
def labels(rng, probabilities) -> np.ndarray:
    """Labels that the probabilities get right about half of the time."""
    guessed = probabilities.argmax(axis=1)
    return np.where(rng.random(400) < 0.5, guessed, rng.integers(0, 10, 400)).astype(np.int32)


def test_accuracy_has_wilsons_interval(labels, probabilities):
    figures = summarize(labels, probabilities)
    n, p, z = 400, (probabilities.argmax(axis=1) == labels).mean(), 1.959964
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert figures["examples"] == n
    assert figures["accuracy"] == pytest.approx(p)
    assert figures["accuracy_interval"] == pytest.approx([center - half, center + half], abs=1e-6)


def test_top5_counts_the_five_most_probable_classes(labels, probabilities):
    hits = [label in np.argsort(row)[-5:] for label, row in zip(labels, probabilities, strict=True)]
    assert summarize(labels, probabilities)["top5_accuracy"] == pytest.approx(np.mean(hits))


def test_of_equal_classes_the_first_count_for_top5_too():
    """As bfloat16 makes of many logits, and a dead network of all."""
    figures = summarize(np.array([0, 0, 4, 5]), np.full((4, 6), 1 / 6, np.float32))
    assert (figures["accuracy"], figures["top5_accuracy"]) == (0.5, 0.75)


def test_top5_is_left_out_for_five_classes_or_fewer(rng):
    assert "top5_accuracy" not in summarize(np.arange(5), rng.dirichlet(np.ones(5), 5))


def test_loss_is_the_mean_cross_entropy_with_students_interval(labels, probabilities):
    figures = summarize(labels, probabilities)
    losses = -np.log(probabilities[np.arange(400), labels])
    half = 1.965927 * losses.std(ddof=1) / 20  # t of 399 degrees of freedom, root of 400
    assert figures["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert figures["loss_interval"] == pytest.approx([losses.mean() - half, losses.mean() + half], rel=1e-4)


def test_a_certain_model_has_a_finite_loss_right_or_wrong():
    certain = np.eye(2, dtype=np.float32)[[0, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right, wrong = (summarize(np.full(3, label), certain) for label in (0, 1))
    assert right["loss"] == pytest.approx(0, abs=1e-6)
    assert wrong["loss"] == pytest.approx(87.34, abs=0.01)
    assert wrong["loss_interval"] == pytest.approx([wrong["loss"]] * 2)
    assert wrong["ece"] == pytest.approx(1)


def test_a_sure_mistake_costs_what_its_logits_cost_in_training():
    probabilities = special.softmax(np.array([[0.0, 30.0], [30.0, 0.0]], np.float32), axis=1)
    assert summarize(np.zeros(2, int), probabilities)["loss"] == pytest.approx(15.0, rel=1e-5)


def test_the_interval_of_a_loss_begins_at_zero_at_least():
    probabilities = np.array([[0.999, 0.001]] * 30)
    low, high = summarize(np.array([0] * 29 + [1]), probabilities)["loss_interval"]
    assert low == 0 < high


def test_one_example_has_a_loss_without_an_interval(probabilities):
    assert summarize(np.array([3]), probabilities[:1])["loss_interval"] is None


def test_each_class_has_its_precision_recall_f1_and_support():
    table = per_class(TRUE, PREDICTED, CLASSES).set_index("class")
    assert list(table.columns) == ["precision", "recall", "f1", "support"]
    assert table.loc["cat"].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 3])
    assert table.loc["dog"].tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 3])
    assert table.loc["emu", ["precision", "recall", "f1"]].isna().all()
    assert table.loc["emu", "support"] == 0


@pytest.mark.parametrize(
    ("predicted", "averages"),
    [
        ([0, 0, 1, 1], {"precision": (1, 2), "recall": (1, 2), "f1": (1, 2)}),  # no emu, and none is seen
        ([0, 0, 1, 2], {"precision": (2 / 3, 3), "recall": (3 / 4, 2), "f1": (5 / 9, 3)}),  # no emu, but one is seen
        ([0, 0, 0, 0], {"precision": (1 / 2, 1), "recall": (1 / 2, 2), "f1": (1 / 3, 2)}),
    ],
)
def test_averages_leave_out_classes_for_which_they_are_undefined(predicted, averages):
    figures = summarize(np.array([0, 0, 1, 1]), np.eye(3, dtype=np.float32)[predicted])
    for name, (value, classes) in averages.items():
        assert figures[f"macro_{name}"] == pytest.approx(value)
        assert figures[f"{name}_classes"] == classes
    assert figures["classes"] == 3
    names = [name for name, _, _ in describe(figures)]
    recall = averages["recall"][1]
    assert f"recall, mean of {recall} of 3 classes" in names


def test_confusion_counts_true_classes_in_rows():
    table = confusion(TRUE, PREDICTED, CLASSES)
    assert table.to_numpy().tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert list(table.columns) == list(table.index) == list(CLASSES)
    assert confusion(np.array([2]), np.array([0]), CLASSES).loc["emu", "cat"] == 1


def test_calibration_compares_confidence_and_accuracy_per_bin(labels, probabilities):
    table = calibration(labels, probabilities, bins=15)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    ece = 0.0
    for row in table.itertuples():
        inside = (confidence >= row.low) & (confidence < row.high)
        assert row.count == inside.sum()
        if row.count:
            assert row.confidence == pytest.approx(confidence[inside].mean(), rel=1e-5)
            assert row.accuracy == pytest.approx(correct[inside].mean())
            ece += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
        else:
            assert np.isnan(row.accuracy)
    assert len(table) == 15
    assert table["count"].sum() == 400
    assert expected_calibration_error(table) == pytest.approx(ece, rel=1e-5)


def test_full_confidence_falls_into_the_last_bin():
    assert calibration(np.array([0]), np.array([[1.0, 0.0]]))["count"].tolist() == [0] * 14 + [1]


def test_the_rank_of_the_true_class_starts_at_one():
    probabilities = np.array([[0.1, 0.7, 0.2], [0.1, 0.7, 0.2], [0.4, 0.4, 0.2]])
    assert true_rank(np.array([1, 0, 0]), probabilities).tolist() == [1, 3, 1]


def test_figures_are_described_with_their_intervals(labels, probabilities):
    figures = summarize(labels, probabilities)
    rows = {name: (value, interval) for name, value, interval in describe(figures)}
    low, high = figures["accuracy_interval"]
    assert rows["accuracy"] == (f"{figures['accuracy']:.2%}", f"{low:.2%} to {high:.2%}")
    assert rows["images"] == ("400", "")
    assert "top-5 accuracy" in rows
    without = {name: interval for name, _, interval in describe(figures | {"loss_interval": None})}
    assert without["loss (nats)"] == ""
