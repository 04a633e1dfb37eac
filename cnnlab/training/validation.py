"""Scoring a split during training: every example exactly once, whatever the batch and the replicas."""

from collections.abc import Callable

import tensorflow as tf

from cnnlab.data.data_loader import Feed
from cnnlab.training.ema import averaged_weights
from cnnlab.training.step import Learner, average_statistics, compile_evaluation


def build_validation(learner: Learner, feed: Feed, batches: int) -> Callable[[], dict[str, float]]:
    """A function that returns `val_loss` (mean cross-entropy in nats) and `val_accuracy` (0 to 1).

    Args:
        feed: the validation images in an EvaluationOrder.
        batches: how many batches it has.
    """
    evaluate = compile_evaluation(learner, feed)

    def validate() -> dict[str, float]:
        average_statistics(learner)
        with averaged_weights(learner):
            sums = [evaluate(feed.inputs(batch, 1)) for batch in range(batches)]
            loss, correct, count = tf.reduce_sum(tf.cast(tf.stack(sums), tf.float64), axis=0).numpy()
        return {"val_loss": float(loss / count), "val_accuracy": float(correct / count)}

    return validate
