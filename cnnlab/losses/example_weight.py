"""How much each example costs."""

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError


def example_weights(split: Split) -> np.ndarray | None:
    """The (N,) float32 factors of the examples' losses: their weights, divided by the mean of all of the split.

    So the loss of a batch stays the sum over its examples, divided by their number, and a learning rate keeps its
    meaning whatever unit the weights are in.

    Args:
        split: the training split.

    Returns:
        None where all count alike.

    Raises:
        UserError: all weights are 0.
    """
    if split.weights is None:
        return None
    mean = split.weights.mean(dtype=np.float64)
    if mean == 0:
        raise UserError("dataset.weight_column: all weights of the training split are 0, so there is nothing to learn")
    return (split.weights / mean).astype(np.float32)
