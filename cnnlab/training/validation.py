"""Scoring a split during training: every example exactly once, whatever the batch and the replicas."""

from collections.abc import Callable

import tensorflow as tf

from cnnlab.data.data_loader import DataLoader
from cnnlab.training.ema import averaged_weights
from cnnlab.training.step import average_statistics, compile_evaluation
from cnnlab.training.train_state import TrainState


def build_validation(train_state: TrainState, data_loader: DataLoader, batches: int) -> Callable[[], dict[str, float]]:
    """A function that returns `val_loss` (mean cross-entropy in nats) and `val_accuracy` (0 to 1).

    Args:
        data_loader: the validation images in an EvaluationSampler.
        batches: how many batches it has.
    """
    evaluate = compile_evaluation(train_state, data_loader)

    def validate() -> dict[str, float]:
        average_statistics(train_state)
        with averaged_weights(train_state):
            sums = [evaluate(data_loader.inputs(batch, 1)) for batch in range(batches)]
            loss, correct, count = tf.reduce_sum(tf.cast(tf.stack(sums), tf.float64), axis=0).numpy()
        return {"val_loss": float(loss / count), "val_accuracy": float(correct / count)}

    return validate
