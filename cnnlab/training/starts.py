"""How a training would start with each of several initializers."""

from collections.abc import Mapping

import numpy as np
from omegaconf import DictConfig

from cnnlab.data.load import load_dataset
from cnnlab.data.sample import sample
from cnnlab.initializers.start_report import Start, measure_start
from cnnlab.models.network import build_preprocessing, fit_preprocessing
from cnnlab.training.train_state import build_initialized


def measure_starts(config: DictConfig, initializers: Mapping[str, DictConfig]) -> list[Start]:
    """Initialise the network as `train` would, with each initializer in turn, and look at its first step.

    The batch is one of `trainer.batch_size` training images without augmentation, the same for all.

    Args:
        config: the configuration of `inspect`.
        initializers: nodes by name; where there are none, no data is read.
    """
    if not initializers:
        return []
    dataset = load_dataset(config.dataset, config.seeds.split)
    train = dataset.splits["train"]
    preprocessing = build_preprocessing(config.model.preprocessing, dataset.image_shape)
    fit_preprocessing(preprocessing, train, config.seeds.split)
    batch = sample(train, config.trainer.batch_size, config.seeds.shuffle)
    images = np.asarray(preprocessing(batch.images))
    starts = []
    for name, node in initializers.items():
        candidate = config.copy()
        candidate.initializer = node
        starts.append(measure_start(name, build_initialized(candidate, dataset, preprocessing), images, batch.labels))
    return starts
