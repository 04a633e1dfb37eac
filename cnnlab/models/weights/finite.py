"""Weights that are no numbers, which answers do not always show: on some processors ReLU makes 0 of a NaN."""

import logging
from collections.abc import Iterable

import keras
import tensorflow as tf

log = logging.getLogger(__name__)


def not_finite(weights: Iterable[keras.Variable]) -> str | None:
    """The path of the first weight that holds NaN or infinity; None where none does."""
    for weight in weights:
        if not tf.as_dtype(weight.dtype).is_floating:  # Normalization counts what it was adapted to
            continue
        if not tf.reduce_all(tf.math.is_finite(weight.value)):
            return str(weight.path)
    return None


def tell_not_finite(model: keras.Model, where: str) -> None:
    """Say so where weights from a file are no numbers.

    Args:
        model: that was filled from the file.
        where: begins the message, such as "weights=FILE".
    """
    if path := not_finite(model.weights):
        log.warning("%s: %s holds NaN or infinity; whatever is computed with it says nothing", where, path)
