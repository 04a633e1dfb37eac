"""What a network consists of and what it costs, layer by layer."""

import math
from dataclasses import dataclass

import keras
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cnnlab.models.cost import LayerCost, layer_costs
from cnnlab.models.memory import inference_bytes, training_bytes
from cnnlab.runtime.precision import Precision

WIDTH_WITH_TYPES = 90
MIB = 2**20


@dataclass(frozen=True)
class Inspection:
    """What `inspect` reports; `format=json` prints these keys.

    Attributes:
        model: the model's name.
        input_shape: (height, width, channels).
        total_params, trainable_params: number of weights of the network, preprocessing not counted.
        macs: multiply-accumulate operations per image; see `count_macs`.
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


def print_table(inspection: Inspection, console: Console) -> None:
    """Print one line per layer and the totals; narrow consoles go without the layers' types."""
    wide = console.width >= WIDTH_WITH_TYPES
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("layer", "total", overflow="fold")
    if wide:
        table.add_column("type", overflow="fold")
    table.add_column("output", justify="right", overflow="fold")
    table.add_column("parameters", f"{inspection.total_params:,}", justify="right", no_wrap=True)
    table.add_column("MACs", f"{inspection.macs:,}", justify="right", no_wrap=True)
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
