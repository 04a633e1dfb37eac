"""The classes of image files: each with its most probable ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from omegaconf import DictConfig

from cnnlab.data.dataset import Split
from cnnlab.data.image_cache import CheckedImage
from cnnlab.data.image_files import image_files
from cnnlab.evaluation.predictions import predict_probabilities


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
    config: DictConfig,
    model: keras.Model,
    files: Sequence[str],
    checked: Sequence[CheckedImage],
    class_names: Sequence[str],
) -> list[Prediction]:
    """Classify the files that are images: one prediction per file, in order.

    Args:
        config: of `predict`; it tells how images are brought to the shape of the model's input, which views of each
            are averaged, how many are on the device at a time, and how many classes to return.
        model: uint8 images (n, H, W, C) in, probabilities (n, K) out.
        files: of any kind.
        checked: what each of them was found to be.
        class_names: K names.

    Raises:
        UserError: a file has changed since it was checked, and cannot be decoded.
    """
    whole = [(file, each) for file, each in zip(files, checked, strict=True) if not each.fault]
    found = iter(_probabilities(config, model, whole)) if whole else iter(())
    return [
        Prediction(file, each.fault)
        if each.fault
        else Prediction(file, "", *_best(next(found), class_names, config.top))
        for file, each in zip(files, checked, strict=True)
    ]


def _probabilities(config: DictConfig, model: keras.Model, files: Sequence[tuple[str, CheckedImage]]) -> np.ndarray:
    height, width, channels = model.input_shape[1:]
    paths, checked = zip(*files, strict=True)
    resize, resize_size = config.dataset.get("resize", "squash"), config.dataset.get("resize_size")
    images = image_files(paths, checked, (height, width, channels), resize, resize_size)
    unlabelled = Split(images, np.zeros(len(paths), np.int32))
    return predict_probabilities(model, unlabelled, config.batch_size or config.trainer.batch_size, config.tta)


def _best(probabilities: np.ndarray, class_names: Sequence[str], top: int) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Names and probabilities of the best classes."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return tuple(class_names[index] for index in order), tuple(float(probabilities[index]) for index in order)
