"""`cnnlab inspect`: what a model consists of, what it costs, and if asked for how its training would start."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.config.arguments import given_overrides
from cnnlab.config.initializer_choice import reported_initializers
from cnnlab.data.load import count_classes, load_dataset
from cnnlab.data.sample import sample
from cnnlab.initializers.start_report import Start, measure_start, print_starts
from cnnlab.models.cost import LayerCost, layer_costs
from cnnlab.models.memory import inference_bytes, training_bytes
from cnnlab.models.network import build_network, build_preprocessing, fit_preprocessing
from cnnlab.runtime.devices import configure_runtime
from cnnlab.runtime.precision import POLICIES, Precision, choose_precision
from cnnlab.training.train_state import build_initialized

WIDTH_WITHOUT_TERMINAL = 120
WIDTH_WITH_TYPES = 90
MIB = 2**20


@dataclass(frozen=True)
class Inspection:
    """What `inspect` reports; `format=json` prints these keys.

    Attributes:
        model: the model's name.
        input_shape: (height, width, channels).
        total_params, trainable_params: number of weights of the network, preprocessing not counted.
        macs: multiply-adds per image; see `count_macs`.
        precision: what the activations' size is computed for.
        batch_size: images that the memory is given for, here and in the layers.
        batch_inference_bytes, batch_training_bytes: memory of the activations of a batch; see cnnlab.models.memory.
        layers: the shares of the layers, inputs first.
    """

    model: str
    input_shape: tuple[int, int, int]
    total_params: int
    trainable_params: int
    macs: int
    precision: Precision
    batch_size: int
    batch_inference_bytes: int
    batch_training_bytes: int
    layers: list[LayerCost]


def inspect(config: DictConfig, directory: Path) -> None:
    """Print the layers of the configured model and their costs, without reading any data.

    Only where the configuration leaves the number of classes to the data, these are counted.
    Where the user names initializers, how a training starts with each follows, on a batch of training images.

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
    starts = measure_starts(config, reported_initializers(config, given_overrides(HydraConfig.get())))
    if config.format == "json":
        report = asdict(inspection) | ({"initializers": [asdict(start) for start in starts]} if starts else {})
        print(json.dumps(report, indent=2))
        return
    console = Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)
    print_table(inspection, console)
    if starts:
        print_starts(starts, console)


def measure(network: keras.Model, batch_size: int, precision: Precision) -> Inspection:
    """Count everything for a network that was built in `precision`."""
    layers = layer_costs(network, batch_size)
    return Inspection(
        model=network.name,
        input_shape=network.input_shape[1:],
        total_params=network.count_params(),
        trainable_params=sum(math.prod(weight.shape) for weight in network.trainable_weights),
        macs=sum(layer.macs for layer in layers),
        precision=precision,
        batch_size=batch_size,
        batch_inference_bytes=inference_bytes(network, batch_size),
        batch_training_bytes=training_bytes(network, batch_size),
        layers=layers,
    )


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


def print_table(inspection: Inspection, console: Console) -> None:
    """Print one line per layer and the totals; narrow consoles go without the layers' types."""
    wide = console.width >= WIDTH_WITH_TYPES
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("layer", "total", overflow="fold")
    if wide:
        table.add_column("type", overflow="fold")
    table.add_column("output", justify="right", overflow="fold")
    table.add_column("parameters", f"{inspection.total_params:,}", justify="right", no_wrap=True)
    table.add_column("multiply-adds", f"{inspection.macs:,}", justify="right", no_wrap=True)
    table.add_column(f"MiB,\nbatch\nof {inspection.batch_size}", justify="right", no_wrap=True)
    for layer in inspection.layers:
        table.add_row(
            layer.name,
            *([layer.type] if wide else []),
            "x".join(map(str, layer.output_shape)),
            f"{layer.params:,}",
            f"{layer.macs:,}",
            _mib(layer.batch_activation_bytes),
        )
    console.print(table)
    console.print(
        f"trainable parameters: {inspection.trainable_params:,}\n"
        f"activations of a batch of {inspection.batch_size} (trainer.batch_size) in {inspection.precision}: "
        f"{_mib(inspection.batch_inference_bytes)} MiB for inference, "
        f"{_mib(inspection.batch_training_bytes)} MiB for training",
        highlight=False,
    )


def _mib(size: int) -> str:
    return f"{size / MIB:,.2f}"
