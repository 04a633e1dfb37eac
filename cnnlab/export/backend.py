"""An exported file in the place of the model that it was made of."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnlab.errors import UserError, one_line
from cnnlab.export.files import Function, find_export, writer
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import thread_count
from cnnlab.runtime.quiet import quiet


def load_exported(run: Run, backend: str) -> tuple[keras.Model, Path]:
    """A model that computes by an exported file, in its own runtime on the processor.

    Args:
        run: the run.
        backend: FORMAT or FORMAT/PRECISION.

    Returns:
        The model, uint8 (n, H, W, C) to probabilities (n, K) or (n, 1), which cannot be trained; and the file.

    Raises:
        UserError: there is no such export, it is damaged, or the run's best model is another by now.
    """
    path, report = find_export(run, backend)
    format = report["format"]
    try:
        with quiet():
            function = writer(format).load(path, thread_count())
    except Exception as error:
        raise UserError(f"backend={backend}: {path} cannot be loaded ({one_line(error)[:200]})") from error
    images = keras.Input(report["input_shape"], dtype="uint8", name="images")
    return keras.Model(images, _Exported(function, report["outputs"], name=format)(images)), path


class _Exported(keras.Layer):
    """Calls a function that TensorFlow does not know."""

    def __init__(self, function: Function, outputs: int, **kwargs: Any):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.function = function
        self.outputs = outputs

    def call(self, images: tf.Tensor) -> tf.Tensor:
        probabilities = tf.numpy_function(self._compute, [images], tf.float32)
        return tf.ensure_shape(probabilities, (None, self.outputs))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape[0], self.outputs

    def _compute(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self.function(images), np.float32)
