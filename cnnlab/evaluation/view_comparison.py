"""Whether test-time views help: measured on validation images, never on the test split."""

import logging

import keras
import numpy as np
from omegaconf import DictConfig

from cnnlab.config.tta import parse_views
from cnnlab.data.classes import align_classes
from cnnlab.data.dataset import Dataset, Split
from cnnlab.data.load import load_dataset
from cnnlab.data.sample import draw
from cnnlab.errors import UserError
from cnnlab.evaluation.predictions import predict_views

log = logging.getLogger(__name__)

COMPARED = 2000
"""Validation images at most by which test-time views are compared with none, where another split is evaluated."""


def validation_images(config: DictConfig, dataset: Dataset, class_names: tuple[str, ...] | None) -> Split | None:
    """The images by which test-time views are compared with none: of the dataset, or of the run's own beside `data`."""
    if config.data is None:
        return dataset.splits.get("validation")
    if config.run is None or class_names is None:
        return None
    try:
        own = load_dataset(config.dataset, config.seeds.split, own_classes=True)
    except UserError as error:
        log.info("tta=%s: is not compared with none on validation images: %s", parse_views(config.tta).name, error)
        return None
    return align_classes(own, class_names).splits.get("validation")


def compare_views(
    config: DictConfig, model: keras.Model, validation: Split, evaluated: tuple[np.ndarray, np.ndarray]
) -> None:
    """Say so where test-time views lower the accuracy on validation images; the test split has no say in that.

    Args:
        evaluated: the probabilities with and without views on the evaluated split, which may be the validation split.
    """
    if config.split != "validation" or config.data is not None:
        validation = draw(validation, COMPARED, config.seeds.split)
        evaluated = predict_views(model, validation, config.batch_size or config.trainer.batch_size, config.tta)
    with_views, without = (float(np.mean(values.argmax(axis=1) == validation.labels)) for values in evaluated)
    if with_views < without:
        log.warning(
            "tta=%s: lowers the accuracy on %s validation images from %.2f %% to %.2f %%; better leave it out",
            parse_views(config.tta).name, f"{len(validation):,}", 100 * without, 100 * with_views,
        )  # fmt: skip
