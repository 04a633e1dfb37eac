"""Metrics of labels and logits, against scikit-learn, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from sklearn import metrics

from cnnlab.errors import UserError
from cnnlab.metrics.metric_set import MetricSet, build_metrics, direction

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 50)
LOGITS = RNG.normal(size=(50, 4)).astype("float32")
PROBABILITIES = np.asarray(tf.nn.softmax(LOGITS.astype(float)))
ONE_HOT = np.eye(4)[LABELS]


def build(target: str, **arguments) -> MetricSet:
    return build_metrics(OmegaConf.create({"m": {"_target_": target, **arguments}}), 4)


def measured(target: str, **arguments) -> float:
    """The value of a metric that has seen the examples in three batches."""
    built = build(target, **arguments)
    for part in (slice(0, 7), slice(7, 40), slice(40, 50)):
        built.update(tf.constant(LABELS[part]), tf.constant(LOGITS[part]))
    return built.results()["m"]


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        (
            "keras.metrics.TopKCategoricalAccuracy",
            {"k": 2},
            lambda: metrics.top_k_accuracy_score(LABELS, PROBABILITIES, k=2),
        ),
        (
            "keras.metrics.SparseTopKCategoricalAccuracy",
            {"k": 2},
            lambda: metrics.top_k_accuracy_score(LABELS, PROBABILITIES, k=2),
        ),
        (
            "keras.metrics.F1Score",
            {"average": "macro"},
            lambda: metrics.f1_score(LABELS, LOGITS.argmax(1), average="macro"),
        ),
        (
            "keras.metrics.MeanIoU",
            {"num_classes": 4, "sparse_y_pred": False},
            lambda: metrics.jaccard_score(LABELS, LOGITS.argmax(1), average="macro"),
        ),
        (
            "keras.metrics.MeanIoU",
            {"num_classes": 4},
            lambda: metrics.jaccard_score(LABELS, LOGITS.argmax(1), average="macro"),
        ),
        (
            "keras.metrics.CategoricalCrossentropy",
            {"from_logits": True},
            lambda: metrics.log_loss(LABELS, PROBABILITIES),
        ),
        ("keras.metrics.MeanSquaredError", {}, lambda: np.mean((PROBABILITIES - ONE_HOT) ** 2)),
    ],
)
def test_a_metric_of_keras_is_given_what_it_compares(target, arguments, expected):
    assert measured(target, **arguments) == pytest.approx(expected(), rel=1e-5)


def test_the_area_under_the_curve_is_that_of_all_classes_against_the_rest():
    expected = metrics.roc_auc_score(ONE_HOT.ravel(), PROBABILITIES.ravel())
    assert measured("keras.metrics.AUC", num_thresholds=2000) == pytest.approx(expected, abs=1e-3)


def test_a_whole_split_scores_as_its_batches_do():
    built = build("keras.metrics.CategoricalCrossentropy", from_logits=True)
    expected = metrics.log_loss(LABELS, PROBABILITIES)
    assert built.score(LABELS, PROBABILITIES, 7)["m"] == pytest.approx(expected, rel=1e-5)


def test_it_forgets():
    built = build("keras.metrics.MeanSquaredError")
    for labels in ([0, 1], [3, 3]):
        built.reset()
        built.update(tf.constant(labels), tf.constant(LOGITS[:2]))
    again = build("keras.metrics.MeanSquaredError")
    again.update(tf.constant([3, 3]), tf.constant(LOGITS[:2]))
    assert built.results() == again.results()


class NoResult(keras.metrics.Metric):
    def update_state(self, y_true, y_pred, sample_weight=None):
        pass


class Nothing(NoResult):
    def result(self):
        return None


class Forgetful(NoResult):
    """Keeps what it has seen in Python, which the graph does not come by."""

    def result(self):
        return 1.0


class Fewest(keras.metrics.MeanMetricWrapper):
    direction = "min"

    def __init__(self, name=None):
        super().__init__(lambda y_true, y_pred: y_pred[:, 0], name=name)


def own(kind: type) -> str:
    return f"{__name__}.{kind.__name__}"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("keras.metrics.F1Score", "F1Score has no number for a result, but 4 values; average=macro makes one of them"),
        ("keras.metrics.Mean", "Mean is no metric of classes: it averages numbers and compares nothing"),
        ("keras.metrics.Accuracy", "Accuracy is no metric of classes: it compares labels"),
        ("keras.losses.Poisson", "keras.losses.Poisson returns Poisson, not a keras.metrics.Metric; derive from it"),
        (NoResult, "NoResult has no result; define update_state"),
        (Nothing, "Nothing has no number for a result, but nothing"),
        (Forgetful, "Forgetful has no variables, so nothing would be remembered or saved"),
    ],
)
def test_what_is_no_metric_of_classes_is_refused_in_one_line(target, message):
    with pytest.raises(UserError, match=rf"^metric\.m: {message}") as refused:
        build(target if isinstance(target, str) else own(target))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["AUC", "BinaryCrossentropy"])
def test_logits_of_sigmoids_are_refused_since_there_are_none(name):
    with pytest.raises(UserError, match=rf"^metric\.m\.from_logits=true: {name} would take a sigmoid .*; leave it out"):
        build(f"keras.metrics.{name}", from_logits=True)


@pytest.mark.parametrize(
    ("target", "arguments", "value", "told"),
    [
        ("AUC", {"multi_label": True}, 0.75, True),
        ("F1Score", {"average": "macro"}, 0.75, True),
        ("AUC", {}, 1.0, False),
        ("F1Score", {"average": "micro"}, 1.0, False),
    ],
)
def test_a_mean_over_classes_tells_which_it_counts_as_0(target, arguments, value, told, caplog):
    labels, metrics = np.array([0, 1, 2, 2]), build(f"keras.metrics.{target}", **arguments)
    assert metrics.score(labels, np.eye(4)[labels], batch_size=3)["m"] == pytest.approx(value)
    caplog.clear()
    metrics.tell_absent("test", labels, "abcd")
    expected = ["test: the mean over classes that is m counts 0 for those without an image: d"]
    assert caplog.messages == (expected if told else [])
    caplog.clear()
    metrics.tell_absent("test", np.arange(4), "abcd")
    assert not caplog.messages


def test_what_is_better_is_known_of_keras_and_told_by_ones_own():
    assert direction(keras.metrics.AUC()) == "max"
    assert direction(keras.metrics.MeanSquaredError()) == "min"
    assert direction(Fewest()) == "min"
    assert direction(keras.metrics.FalsePositives()) is None
