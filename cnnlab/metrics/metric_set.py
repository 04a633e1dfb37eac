"""The metrics of a configuration: what is measured beside loss and accuracy."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from omegaconf import DictConfig

from cnnlab.config.instantiate import instantiate
from cnnlab.config.scoring import METRIC_LABELS, metric_columns
from cnnlab.config.types import shown
from cnnlab.data.classes import list_names
from cnnlab.errors import UserError, one_line

log = logging.getLogger(__name__)

NO_COMPARISON = {
    keras.metrics.Mean: "it averages numbers and compares nothing",
    keras.metrics.Sum: "it adds numbers up and compares nothing",
    keras.metrics.Accuracy: "it compares labels; the accuracy is measured in any case",
}
"""Classes of Keras that would make something else of targets and probabilities than their names say."""


class MetricSet:
    """Metrics by the names of their columns; each sees every example once, whatever the batch and the replicas.

    Args:
        metrics: built, see `build_metrics`.
        num_classes: of the targets.
    """

    def __init__(self, metrics: Mapping[str, keras.metrics.Metric], num_classes: int):
        self._metrics = dict(metrics)
        self._num_classes = num_classes

    def __bool__(self) -> bool:
        return bool(self._metrics)

    @property
    def names(self) -> list[str]:
        """The columns."""
        return list(self._metrics)

    @property
    def variables(self) -> list[tuple[str, keras.Variable]]:
        """The state, each variable with a name within the set, such as auc/true_positives."""
        return [(f"{name}/{variable.name}", variable) for name, metric in self for variable in metric.variables]

    def __iter__(self) -> Any:
        return iter(self._metrics.items())

    def update(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Take examples into account; may be traced.

        Args:
            labels: (n,) integers; of mixed targets, the class with the largest share, as the accuracy has it.
            logits: (n, num_classes) float32.
        """
        targets = tf.one_hot(labels, self._num_classes)
        for _, metric in self:
            is_sparse = getattr(metric, "sparse_y_true", type(metric).__name__.startswith("Sparse"))
            metric.update_state(labels if is_sparse else targets, _predictions(metric, logits))

    def results(self) -> dict[str, float]:
        """The values so far."""
        return {name: float(metric.result()) for name, metric in self}

    def reset(self) -> None:
        """Forget all examples."""
        for _, metric in self:
            metric.reset_state()

    def score(self, labels: np.ndarray, probabilities: np.ndarray, batch_size: int) -> dict[str, float]:
        """The values for a whole split.

        Args:
            labels: (N,) integers.
            probabilities: (N, num_classes).
            batch_size: examples at a time.
        """
        self.reset()
        logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float32)
        for start in range(0, len(labels), batch_size):
            part = slice(start, start + batch_size)
            self.update(tf.constant(labels[part], tf.int64), tf.constant(logits[part]))
        return self.results()

    def tell_absent(self, split: str, labels: np.ndarray, class_names: Sequence[str]) -> None:
        """Say which metrics are means over classes, to which those without an image in a split add 0.

        Args:
            split: its name.
            labels: (N,) of all of its images.
            class_names: one name per class.
        """
        means = [name for name, metric in self if _is_mean_over_classes(metric)]
        counts = np.bincount(labels, minlength=self._num_classes)
        absent = [name for name, count in zip(class_names, counts, strict=True) if not count]
        if means and absent:
            log.warning(
                "%s: the mean over classes that is %s counts 0 for those without an image: %s",
                split, " and ".join(means), list_names(absent),
            )  # fmt: skip


def build_metrics(node: DictConfig | None, num_classes: int) -> MetricSet:
    """The metrics of `config.metric`, ready to be updated in a graph.

    Metrics are built outside of any strategy's scope: the step gathers what they compare from all replicas, so their
    state needs no aggregation, and any metric will do.

    Args:
        node: a mapping from keys to metrics, each a `_target_` with its arguments.
        num_classes: of the targets.

    Raises:
        UserError: one is no keras.metrics.Metric, wants logits of sigmoids, or has no number for a result.
    """
    metrics = {}
    options = {} if node is None else {str(key): option for key, option in node.items()}
    columns = metric_columns(options)
    for key, option in options.items():
        metric = instantiate(option, drop=METRIC_LABELS)
        if not isinstance(metric, keras.metrics.Metric):
            raise UserError(
                f"metric.{key}: {option._target_} returns {type(metric).__name__}, not a "
                "keras.metrics.Metric; derive from it, with update_state(y_true, y_pred) and result()"
            )
        if type(metric) in NO_COMPARISON:
            raise UserError(
                f"metric.{key}: {type(metric).__name__} is no metric of classes: {NO_COMPARISON[type(metric)]}"
            )
        if _takes_sigmoids_logits(metric):
            raise UserError(
                f"metric.{key}.from_logits=true: {type(metric).__name__} would take a sigmoid of each class, where the "
                "classes exclude each other; leave it out: metrics are given probabilities"
            )
        _require_result(metric, f"metric.{key}", num_classes)
        metrics[columns[key]] = metric
    return MetricSet(metrics, num_classes)


def direction(metric: keras.metrics.Metric) -> Literal["min", "max"] | None:
    """What counts as better of a metric, where Keras knows it, or the metric says so as `direction`; else None."""
    known: dict[str, Literal["min", "max"]] = {"up": "max", "down": "min", "max": "max", "min": "min"}
    return known.get(getattr(metric, "direction", getattr(metric, "_direction", "")))


def _predictions(metric: keras.metrics.Metric, logits: tf.Tensor) -> tf.Tensor:
    if getattr(metric, "sparse_y_pred", False):
        return tf.argmax(logits, axis=-1)
    return tf.nn.log_softmax(logits) if getattr(metric, "from_logits", False) else tf.nn.softmax(logits)


def _is_mean_over_classes(metric: keras.metrics.Metric) -> bool:
    """Whether each class counts alike in a metric of Keras, also one without an image."""
    if isinstance(metric, keras.metrics.FBetaScore):
        return metric.average == "macro"
    return isinstance(metric, keras.metrics.AUC) and bool(metric.multi_label)


def _takes_sigmoids_logits(metric: keras.metrics.Metric) -> bool:
    """Whether a metric of Keras is configured for the logits of one sigmoid per class."""
    per_class = isinstance(metric, keras.metrics.AUC | keras.metrics.BinaryCrossentropy)
    return per_class and bool(metric.get_config().get("from_logits"))


def _require_result(metric: keras.metrics.Metric, key: str, num_classes: int) -> None:
    """Update a metric once, which also makes its variables, and look at what it returns."""
    labels = tf.range(num_classes, dtype=tf.int64)
    kind = type(metric).__name__
    try:
        MetricSet({key: metric}, num_classes).update(labels, tf.one_hot(labels, num_classes))
        result = metric.result()
    except NotImplementedError:
        raise UserError(f"{key}: {kind} has no result; define update_state(y_true, y_pred) and result()") from None
    except (ValueError, TypeError, tf.errors.OpError) as error:
        shape = shown([num_classes, num_classes])
        raise UserError(
            f"{key}: {kind} cannot compare targets with probabilities, both of {shape}; {one_line(error)}"
        ) from error
    if result is None or isinstance(result, dict) or np.ndim(result) != 0:
        what = "nothing" if result is None else f"{len(result)} values"
        one = "; average=macro makes one of them" if hasattr(metric, "average") else ""
        raise UserError(f"{key}: {kind} has no number for a result, but {what}{one}")
    if not metric.variables:
        raise UserError(
            f"{key}: {kind} has no variables, so nothing would be remembered or saved; make them with add_variable"
        )
    metric.reset_state()
