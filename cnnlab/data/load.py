"""From `config.dataset` to a dataset that fits the run."""

import inspect
from collections.abc import Sequence

import numpy as np
from hydra.utils import get_method
from omegaconf import DictConfig

from cnnlab.config.build import instantiate
from cnnlab.data.dataset import Dataset, ImageFiles, ImageShape, PublishedDataset, Split
from cnnlab.data.splits import carve_test, carve_validation, parse_validation
from cnnlab.errors import UserError

COMMON_KEYS = frozenset({"image_shape", "num_classes", "validation", "test_fraction"})
"""Keys that `load_dataset` itself uses; a reader gets those of them that it has as arguments."""


def load_dataset(cfg: DictConfig, split_seed: int) -> Dataset:
    """Read a dataset, draw the splits it asks for, and bring its images to the declared shape.

    Args:
        cfg: the composed `config.dataset`.
        split_seed: seeds the random validation and test splits; not negative.

    Returns:
        The dataset; uint8 arrays or image files of `cfg.image_shape`, int32 labels, and `cfg.num_classes`
        class names: outputs wider than the labels need are called by their index.

    Raises:
        UserError: files are missing or damaged, labels are out of range, or a key does not fit the files.
    """
    image_shape = _image_shape(cfg.image_shape)
    validation = parse_validation(cfg.validation)
    published = _read(cfg)
    class_names = _class_names(published.class_names, cfg.num_classes)
    splits = carve_test(published.splits, cfg.get("test_fraction"), split_seed)
    splits = carve_validation(splits, validation, split_seed)
    fitted = {name: Split(_fit(split.images, image_shape), split.labels) for name, split in splits.items()}
    return Dataset(cfg.name, image_shape, class_names, fitted)


def _read(cfg: DictConfig) -> PublishedDataset:
    arguments = inspect.signature(get_method(cfg._target_)).parameters
    return instantiate(cfg, drop=COMMON_KEYS - arguments.keys())


def _image_shape(value: Sequence[int]) -> ImageShape:
    match list(value):
        case [int(height), int(width), (1 | 3) as channels] if height > 0 and width > 0:
            return height, width, channels
    raise UserError(f"dataset.image_shape={list(value)}: expected [height, width, channels], channels 1 or 3")


def _class_names(names: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    if num_classes < len(names):
        raise UserError(
            f"dataset.num_classes={num_classes}: there are {len(names)} classes; set it to {len(names)} or more"
        )
    return names + tuple(str(index) for index in range(len(names), num_classes))


def _fit(images: np.ndarray | ImageFiles, image_shape: ImageShape) -> np.ndarray | ImageFiles:
    if isinstance(images, ImageFiles) or images.shape[1:] == image_shape:
        return images
    from cnnlab.data.decode import resize_array  # TensorFlow, only where it is needed

    return resize_array(images, image_shape)
