"""The classes of image files: each with its most probable ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from cnnlab.data.dataset import Resize
from cnnlab.data.decode import stream_images
from cnnlab.data.image_cache import CheckedImage
from cnnlab.data.image_files import image_files
from cnnlab.evaluation.predictions import classifier


@dataclass(frozen=True)
class Prediction:
    """A file and its most probable classes, the best first.

    Attributes:
        file: as it was found.
        fault: why it is no image that can be read, and has no classes; empty for those that have.
        classes: the names.
        probabilities: of these classes, each in [0, 1].
    """

    file: str
    fault: str = ""
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()


def classify_files(
    model: keras.Model,
    files: Sequence[str],
    checked: Sequence[CheckedImage],
    class_names: Sequence[str],
    batch_size: int,
    top: int,
    resize: Resize,
) -> list[Prediction]:
    """Classify the files that are images: one prediction per file, in order.

    Args:
        model: uint8 images (n, H, W, C) in, probabilities (n, K) out.
        files: of any kind.
        checked: what each of them was found to be.
        class_names: K names.
        batch_size: images on the device at a time.
        top: how many classes to return per image.
        resize: how images are brought to the shape of the model's input.

    Raises:
        UserError: a file has changed since it was checked, and cannot be decoded.
    """
    whole = [(file, each) for file, each in zip(files, checked, strict=True) if not each.fault]
    found = _classify(model, whole, class_names, batch_size, top, resize) if whole else iter(())
    return [
        Prediction(file, each.fault) if each.fault else Prediction(file, "", *next(found))
        for file, each in zip(files, checked, strict=True)
    ]


def _classify(
    model: keras.Model,
    files: Sequence[tuple[str, CheckedImage]],
    class_names: Sequence[str],
    batch_size: int,
    top: int,
    resize: Resize,
) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    """Names and probabilities of each file's best classes."""
    classify = classifier(model)
    height, width, channels = model.input_shape[1:]
    paths, checked = zip(*files, strict=True)
    for images in stream_images(image_files(paths, checked, (height, width, channels), resize), batch_size):
        probabilities = classify(images).numpy()
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for row, order in zip(probabilities, best, strict=True):
            yield tuple(class_names[index] for index in order), tuple(float(row[index]) for index in order)
