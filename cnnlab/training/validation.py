"""Scoring a split during training: every example exactly once, whatever the batch and the replicas."""

from collections.abc import Callable

import tensorflow as tf

from cnnlab.data.data_loader import DataLoader
from cnnlab.losses.loss import WeightedLoss
from cnnlab.metrics.metric_set import MetricSet
from cnnlab.training.step import average_statistics, compile_evaluation
from cnnlab.training.train_state import TrainState


def build_validation(
    train_state: TrainState,
    data_loader: DataLoader,
    batches: int,
    metrics: MetricSet,
    loss: tuple[str, WeightedLoss] | None = None,
) -> Callable[[], dict[str, float]]:
    """A function that returns `val_loss` (mean cross-entropy in nats), `val_accuracy` (0 to 1), and what is asked for.

    Args:
        data_loader: the validation images in an EvaluationSampler.
        batches: how many batches it has.
        metrics: of which the function returns the value for the whole split, as `val_` and their names.
        loss: another loss than the cross-entropy, whose mean is returned, and its name there.
    """
    evaluate = compile_evaluation(train_state, data_loader, loss[1] if loss else None, metrics)

    def validate() -> dict[str, float]:
        metrics.reset()
        average_statistics(train_state)
        with train_state.evaluated_weights():
            sums = [evaluate(data_loader.inputs(batch, 1)) for batch in range(batches)]
            count, *totals = tf.reduce_sum(tf.cast(tf.stack(sums), tf.float64), axis=0).numpy()
        names = ["val_loss", "val_accuracy", *([loss[0]] if loss else [])]
        means = {name: float(total / count) for name, total in zip(names, totals, strict=True)}
        return means | {f"val_{name}": value for name, value in metrics.results().items()}

    return validate
