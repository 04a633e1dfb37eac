"""What a layer costs in parameters, multiplications and memory; in training and in inference."""

import math
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure

from cnnlab.evaluation.figure import TRAIN_COLOR, VALIDATION_COLOR, new_figure, style_axes
from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import table
from cnnlab.mechanics.pictures import WIDTH

IMAGE = (150, 100, 3)
MAPS = 200
SIZE = 5
BATCHES = (1, 32, 128)
MEBIBYTE = 2**20
FLOAT32 = 4
ADAM = 4
"""Numbers per parameter in training with Adam: the parameter, its gradient and two moments."""


@dataclass(frozen=True)
class Entry:
    """What a layer costs per image.

    Attributes:
        name: of the layer.
        shape: of its output.
        parameters: how many it has, biases included.
        multiplications: of weights with values; those with padded zeros count.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiplications: int

    @property
    def activations(self) -> int:
        """How many numbers it puts out."""
        return math.prod(self.shape)


def memory_chapter() -> Chapter:
    """Show the ledger of one layer, then that of a small network, forward only and in training."""
    network = example_network()
    entries = ledger(network)
    layer = entries[1]
    training, inference = held_in_training(entries), held_in_inference(entries)
    dense = math.prod(IMAGE) * layer.activations
    values = {
        "image": " × ".join(map(str, IMAGE)),
        "maps": str(MAPS),
        "size": str(SIZE),
        "channels": str(IMAGE[-1]),
        "places": f"{math.prod(IMAGE[:2]):,}",
        "per_filter": str(SIZE * SIZE * IMAGE[-1]),
        "parameters": f"{layer.parameters:,}",
        "multiplications": f"{layer.multiplications / 1e6:,.0f} million",
        "activations": f"{layer.activations:,}",
        "memory": mebibytes(layer.activations),
        "memory_16": mebibytes(layer.activations, 2),
        "parameter_memory": mebibytes(layer.parameters),
        "dense": f"{dense / 1e9:,.0f} billion",
        "inference": mebibytes(max(inference)),
        "training": mebibytes(max(training)),
        "factor": f"{max(training) / max(inference):.1f}",
        "weights": mebibytes(network.count_params()),
        "adam": mebibytes(ADAM * network.count_params()),
        "ledger": _ledger_table(entries),
        "batches": _batch_table(network, max(training), max(inference)),
    }
    figures = {"held": _draw_held(entries, training, inference)}
    arrays = {
        "activations": np.array([entry.activations for entry in entries]),
        "parameters": np.array([entry.parameters for entry in entries]),
        "multiplications": np.array([entry.multiplications for entry in entries]),
        "held_in_training": np.array(training),
        "held_in_inference": np.array(inference),
    }
    return Chapter("memory_ledger", "The memory ledger", figures, values, arrays)


def example_network() -> keras.Sequential:
    """The layer of the ledger, and a small network on top of it."""
    return keras.Sequential(
        [
            keras.Input(IMAGE, name="image"),
            layers.Conv2D(MAPS, SIZE, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(200, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Conv2D(400, 3, padding="same", activation="relu", name="conv3"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(10, name="logits"),
        ]
    )


def ledger(network: keras.Sequential) -> list[Entry]:
    """The image, then the layers of a network of convolutions, pooling and dense layers."""
    entries = [Entry("image", tuple(network.input_shape[1:]), 0, 0)]
    for layer in network.layers:
        shape = tuple(layer.output.shape[1:])
        places = math.prod(shape[:-1])
        weights = math.prod(layer.kernel.shape) if hasattr(layer, "kernel") else 0
        entries.append(Entry(layer.name, shape, layer.count_params(), places * weights))
    return entries


def held_in_inference(entries: list[Entry]) -> list[int]:
    """Numbers held while each layer after the image computes: its input and its output."""
    sizes = [entry.activations for entry in entries]
    return [before + after for before, after in pairwise(sizes)]


def held_in_training(entries: list[Entry]) -> list[int]:
    """Numbers held step by step: while each layer computes forward, then, from the last to the first, backward.

    Forward keeps every output. Backward, a layer needs its input and output, and those of the layers below
    it are still kept; it turns the gradient of its output into that of its input, which nobody needs of the image.
    """
    sizes = [entry.activations for entry in entries]
    forward = [sum(sizes[: number + 1]) for number in range(1, len(sizes))]
    backward = [
        sum(sizes[: number + 1]) + sizes[number] + (sizes[number - 1] if number > 1 else 0)
        for number in range(len(sizes) - 1, 0, -1)
    ]
    return forward + backward


def mebibytes(numbers: int, size: int = FLOAT32) -> str:
    """The memory of so many numbers of `size` bytes, in words."""
    amount = numbers * size / MEBIBYTE
    if amount >= 1024:
        return f"{amount / 1024:,.1f} GiB"
    return f"{amount:.1f} MiB" if amount >= 1 else f"{amount:.2f} MiB"


def _ledger_table(entries: list[Entry]) -> str:
    rows = [
        [
            entry.name,
            " × ".join(map(str, entry.shape)),
            f"{entry.parameters:,}",
            f"{entry.multiplications / 1e6:,.1f}",
            mebibytes(entry.activations),
        ]
        for entry in entries
    ]
    return table(["layer", "output", "parameters", "million multiplications", "activations"], rows)


def _batch_table(network: keras.Sequential, training: int, inference: int) -> str:
    parameters = network.count_params()
    rows = [
        [str(batch), mebibytes(batch * inference + parameters), mebibytes(batch * training + ADAM * parameters)]
        for batch in BATCHES
    ]
    return table(["images at a time", "inference", "training with Adam"], rows)


def _draw_held(entries: list[Entry], training: list[int], inference: list[int]) -> Figure:
    """The memory of one image over the steps of inference and training."""
    names = [entry.name for entry in entries[1:]]
    figure = new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    style_axes(axes)
    axes.grid(visible=False, axis="x")
    scale = FLOAT32 / MEBIBYTE
    places = np.arange(len(training))
    axes.bar(places, np.array(training) * scale, width=0.8, color=VALIDATION_COLOR, label="training")
    axes.bar(places[: len(names)], np.array(inference) * scale, width=0.5, color=TRAIN_COLOR, label="inference")
    axes.set_xticks(places, [*names, *reversed(names)], rotation=60, ha="right", rotation_mode="anchor")
    axes.axvline(len(names) - 0.5, color="black", linewidth=1)
    top = max(training) * scale
    axes.set_ylim(0, 1.35 * top)
    axes.text(len(names) / 2 - 0.5, 1.12 * top, "forward", ha="center", fontsize=9)
    axes.text(1.5 * len(names) - 0.5, 1.12 * top, "backward", ha="center", fontsize=9)
    axes.set_ylabel("MiB per image", fontsize=9)
    axes.legend(loc="upper center", ncols=2, fontsize=9, frameon=False)
    return figure
