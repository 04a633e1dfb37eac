"""The classes of image files: each with its most probable ones."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from cnnlab.data.decode import decode_image
from cnnlab.evaluation.predictions import classifier


@dataclass(frozen=True)
class Prediction:
    """An image file and its most probable classes, the best first.

    Attributes:
        file: as it was found.
        classes: the names.
        probabilities: of these classes, each in [0, 1].
    """

    file: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]


def classify_files(
    model: keras.Model,
    files: Sequence[str],
    class_names: Sequence[str],
    batch_size: int,
    top: int,
) -> Iterator[Prediction]:
    """Classify the files that can be decoded, in order; the others are left out.

    Args:
        model: uint8 images (n, H, W, C) in, probabilities (n, K) out.
        files: image files of any size, grey or colour; they are brought to the model's input.
        class_names: K names.
        batch_size: images on the device at a time.
        top: how many classes to return per image.
    """
    classify = classifier(model)
    batches = (
        tf.data.Dataset.from_tensor_slices([os.fsencode(file) for file in files])
        .map(lambda file: (file, decode_image(file, model.input_shape[1:])), num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
        .batch(batch_size)
        .prefetch(2)
    )
    for names, images in batches:
        probabilities = classify(images).numpy()
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for file, row, order in zip(names.numpy(), probabilities, best, strict=True):
            classes = tuple(class_names[index] for index in order)
            yield Prediction(os.fsdecode(file), classes, tuple(float(row[index]) for index in order))
