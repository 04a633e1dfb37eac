"""`cnnlab inspect`: what a model consists of, what it costs, and on request how its training would start."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import keras
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from cnnlab.config.arguments import given_overrides
from cnnlab.config.initializer_choice import reported_initializers
from cnnlab.data.load import count_classes
from cnnlab.initializers.start_report import print_starts
from cnnlab.models.inspection import measure, print_table
from cnnlab.models.network import build_network
from cnnlab.runtime.devices import configure_runtime
from cnnlab.runtime.precision import POLICIES, choose_precision
from cnnlab.training.placement import measure_placement, print_placement
from cnnlab.training.starts import measure_starts


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
    starts = measure_starts(config, reported_initializers(config, given_overrides(HydraConfig.get())))
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
