"""How much the examples of each class cost."""

import logging
from collections.abc import Mapping
from typing import Literal

import numpy as np

from cnnlab.data.classes import list_names
from cnnlab.data.dataset import Dataset
from cnnlab.errors import UserError

log = logging.getLogger(__name__)


def class_weights(requested: Mapping[str, float] | Literal["balanced"] | None, dataset: Dataset) -> np.ndarray | None:
    """The (num_classes,) float32 factors of `loss.class_weight`; None for equal ones.

    Args:
        requested: None, "balanced", or factors by class name; 1 for a class that is not named. `balanced` weighs a
            class by N / (classes · its count), as scikit-learn does, so that the mean over the training split is 1.

    Raises:
        UserError: a weight for a class the dataset does not have.
    """
    if requested is None:
        return None
    weights = np.ones(len(dataset.class_names), np.float32)
    if requested == "balanced":
        labels = dataset.splits["train"].labels
        counts = np.bincount(labels, minlength=len(weights))
        present = counts > 0
        weights[present] = len(labels) / (present.sum() * counts[present])
        return weights
    for name, weight in requested.items():
        if str(name) not in dataset.class_names:
            hint = "" if isinstance(name, str) else "; a name such as no, on or 07 is written in quotes in YAML"
            raise UserError(
                f"loss.class_weight.{name}: {dataset.name} has no such class; it has {', '.join(dataset.class_names)}"
                f"{hint}"
            )
        weights[dataset.class_names.index(str(name))] = weight
    unnamed = [name for name in dataset.class_names if name not in map(str, requested)]
    if unnamed:
        log.info("loss.class_weight: names no weight of %s; it is 1", list_names(unnamed))
    return weights
