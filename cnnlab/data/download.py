"""Keras's own downloader, for datasets that are not on this machine yet."""

import contextlib
import importlib
import logging
import sys
from types import ModuleType

import numpy as np

from cnnlab.data.locate import SEARCHED
from cnnlab.errors import UserError, one_line

logger = logging.getLogger(__name__)

ImagesAndLabels = tuple[np.ndarray, np.ndarray]


def download(name: str, files: str) -> tuple[ImagesAndLabels, ImagesAndLabels]:
    """Fetch a dataset through keras.datasets, which caches it under KERAS_HOME (default ~/.keras).

    Args:
        name: the module in keras.datasets.
        files: what a user without a network would place, and in which folder; for the error message.

    Returns:
        (images, labels) of the training and of the test split, uint8, labels of shape (N,).

    Raises:
        UserError: the download failed.
    """
    logger.info("%s is not in %s: downloading it", name, SEARCHED)
    module: ModuleType = importlib.import_module(f"keras.datasets.{name}")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras's progress bar is no result
            (x_train, y_train), (x_test, y_test) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception where the host cannot be reached
        raise UserError(
            f"{name}: not in {SEARCHED}, and the download failed ({one_line(error)}); place {files} "
            "and set dataset.root=DIR to the folder that holds it"
        ) from error
    return (x_train, y_train.reshape(-1)), (x_test, y_test.reshape(-1))
