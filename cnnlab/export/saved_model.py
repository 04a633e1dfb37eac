"""TensorFlow's SavedModel: for TensorFlow Serving, and for TensorFlow in any language."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from cnnlab.export.prepared import CLASS_NAMES, INPUT, OUTPUT, Prepared

EXTRA = "assets.extra"
"""The folder of a SavedModel that is left to what TensorFlow itself does not use."""


def write(prepared: Prepared, precision: str, path: Path) -> None:
    """Write a SavedModel with the signature `serving_default`, and in assets.extra the names of the classes.

    Args:
        prepared: what to write.
        precision: float32, the only one.
        path: a folder, which may be there.

    Raises:
        OSError: the disk is full or read-only.
    """
    module = tf.Module()
    module.model, module.serve = prepared.model, prepared.serve
    tf.saved_model.save(module, str(path), signatures={"serving_default": prepared.serve})
    if prepared.class_names_json is not None:
        (path / EXTRA).mkdir()
        (path / EXTRA / f"{CLASS_NAMES}.json").write_text(prepared.class_names_json, "utf-8")


def load(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function in a SavedModel, from uint8 images to probabilities; TensorFlow has its own number of threads.

    Raises:
        Exception: the folder is damaged.
    """
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: signature(**{INPUT: tf.constant(images)})[OUTPUT].numpy()
