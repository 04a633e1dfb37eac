"""`cnnlab inspect`: what a model consists of, what it costs, and on request how its training would start."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from cnnlab.config.arguments import given_overrides
from cnnlab.config.initializer_choice import reported_initializers
from cnnlab.data.load import count_classes, load_dataset
from cnnlab.data.sample import sample
from cnnlab.initializers.start_report import Start, measure_start, print_starts
from cnnlab.models.inspection import measure, print_table
from cnnlab.models.network import build_network, build_preprocessing, fit_preprocessing
from cnnlab.runtime.devices import configure_runtime
from cnnlab.runtime.precision import POLICIES, choose_precision
from cnnlab.training.placement import measure_placement, print_placement
from cnnlab.training.train_state import build_initialized


def inspect(config: DictConfig, directory: Path) -> None:
    """Print the layers of the configured model and their costs, without reading any data.

    Only where the configuration leaves the number of classes to the data, these are counted. Where the user names
    initializers, how a training starts with each follows, on a batch of training images.

    Args:
        config: the resolved and validated configuration (conf/inspect.yaml); `format` is "table" or "json".
        directory: nothing is written.

    Raises:
        UserError: the model cannot be built (see `build_network`), or the data cannot be read.
    """
    configure_runtime(config.trainer)
    precision, _ = choose_precision(config.trainer.precision)
    keras.config.set_dtype_policy(POLICIES[precision])
    image_shape, num_classes = tuple(config.dataset.image_shape), count_classes(config.dataset)
    network = build_network(config.model, image_shape, num_classes, pretrained=False)
    inspection = measure(network, config.trainer.batch_size, precision)
    placement = measure_placement(config, image_shape, num_classes) if config.placement else None
    starts = _measure_starts(config, reported_initializers(config, given_overrides(HydraConfig.get())))
    if config.format == "json":
        report = asdict(inspection) | ({"initializers": [asdict(start) for start in starts]} if starts else {})
        if placement is not None:
            report["on_host"] = [asdict(operation) for operation in placement]
        print(json.dumps(report, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else 120)
    print_table(inspection, console)
    if starts:
        print_starts(starts, console)
    if placement is not None:
        print_placement(placement, console)


def _measure_starts(config: DictConfig, initializers: Mapping[str, DictConfig]) -> list[Start]:
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
