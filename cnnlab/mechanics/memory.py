"""What a layer costs in parameters, multiplications and memory; in training and in inference."""

import math
from collections.abc import Sequence
from itertools import pairwise

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure

from cnnlab.mechanics.chapter import Chapter
from cnnlab.mechanics.page import dimensions, table
from cnnlab.mechanics.pictures import WIDTH
from cnnlab.models.cost import LayerCost, layer_costs
from cnnlab.reporting.figure import TRAIN_COLOR, VALIDATION_COLOR, new_figure, style_axes

IMAGE = (150, 100, 3)
MAPS = 200
SIZE = 5
BATCHES = (1, 32, 128)
MEBIBYTE = 2**20
FLOAT32 = 4
ADAM = 4
"""Numbers per parameter in training with Adam: the parameter, its gradient and two moments."""


def memory_chapter() -> Chapter:
    """Show the costs of one layer, then those of a small network, forward only and in training."""
    network = example_network()
    costs = layer_costs(network, batch_size=1)
    sizes = [cost.batch_activation_bytes for cost in costs]
    training, inference = held_in_training(sizes), held_in_inference(sizes)
    parameter_bytes = FLOAT32 * network.count_params()
    values = _layer_values(costs[1]) | {
        "inference": mebibytes(max(inference)),
        "training": mebibytes(max(training)),
        "factor": f"{max(training) / max(inference):.1f}",
        "weights": mebibytes(parameter_bytes),
        "adam": mebibytes(ADAM * parameter_bytes),
        "costs": _cost_table(costs),
        "batches": _batch_table(parameter_bytes, max(training), max(inference)),
    }
    figures = {"held": _draw_held([cost.name for cost in costs[1:]], training, inference)}
    arrays = {
        "activation_bytes": np.array(sizes),
        "parameters": np.array([cost.params for cost in costs]),
        "multiplications": np.array([cost.macs for cost in costs]),
        "held_in_training_bytes": np.array(training),
        "held_in_inference_bytes": np.array(inference),
    }
    return Chapter("memory", "What memory holds", figures, values, arrays)


def example_network() -> keras.Model:
    """The layer whose costs are shown, and a small network on top of it."""
    network = keras.Sequential(
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
    return keras.Model(network.inputs, network.outputs)


def held_in_inference(sizes: Sequence[int]) -> list[int]:
    """Bytes held while each layer of a chain after the image computes: its input and its output.

    Args:
        sizes: of the image and of each layer's output, in bytes.
    """
    return [before + after for before, after in pairwise(sizes)]


def held_in_training(sizes: Sequence[int]) -> list[int]:
    """Bytes held step by step: while each layer computes forward, then, from the last to the first, backward.

    Forward keeps every output. Backward, a layer needs its input and output, and those of the layers below
    it are still kept; it turns the gradient of its output into that of its input, which nobody needs of the image.

    Args:
        sizes: of the image and of each layer's output, in bytes.
    """
    forward = [sum(sizes[: number + 1]) for number in range(1, len(sizes))]
    backward = [
        sum(sizes[: number + 1]) + sizes[number] + (sizes[number - 1] if number > 1 else 0)
        for number in range(len(sizes) - 1, 0, -1)
    ]
    return forward + backward


def mebibytes(size: float) -> str:
    """A size in bytes, in words."""
    amount = size / MEBIBYTE
    if amount >= 1024:
        return f"{amount / 1024:,.1f} GiB"
    return f"{amount:.1f} MiB" if amount >= 1 else f"{amount:.2f} MiB"


def _layer_values(layer: LayerCost) -> dict[str, str]:
    outputs = math.prod(layer.output_shape)
    return {
        "image": dimensions(IMAGE),
        "maps": str(MAPS),
        "size": str(SIZE),
        "channels": str(IMAGE[-1]),
        "places": f"{math.prod(layer.output_shape[:2]):,}",
        "per_filter": str(SIZE * SIZE * IMAGE[-1]),
        "parameters": f"{layer.params:,}",
        "multiplications": f"{layer.macs / 1e6:,.0f} million",
        "activations": f"{outputs:,}",
        "memory": mebibytes(layer.batch_activation_bytes),
        "memory_16": mebibytes(layer.batch_activation_bytes / 2),
        "parameter_memory": mebibytes(FLOAT32 * layer.params),
        "dense": f"{math.prod(IMAGE) * outputs / 1e9:,.0f} billion",
    }


def _cost_table(costs: Sequence[LayerCost]) -> str:
    rows = [
        [
            cost.name,
            dimensions(cost.output_shape),
            f"{cost.params:,}",
            f"{cost.macs / 1e6:,.1f}",
            mebibytes(cost.batch_activation_bytes),
        ]
        for cost in costs
    ]
    return table(["layer", "output", "parameters", "million mult.", "activations"], rows)


def _batch_table(parameter_bytes: int, training: int, inference: int) -> str:
    rows = [
        [
            str(batch),
            mebibytes(batch * inference + parameter_bytes),
            mebibytes(batch * training + ADAM * parameter_bytes),
        ]
        for batch in BATCHES
    ]
    return table(["images at a time", "inference", "training with Adam"], rows)


def _draw_held(names: Sequence[str], training: Sequence[int], inference: Sequence[int]) -> Figure:
    """The memory of one image over the steps of inference and training."""
    figure = new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    style_axes(axes)
    axes.grid(visible=False, axis="x")
    places = np.arange(len(training))
    axes.bar(places, np.array(training) / MEBIBYTE, width=0.8, color=VALIDATION_COLOR, label="training")
    axes.bar(places[: len(names)], np.array(inference) / MEBIBYTE, width=0.5, color=TRAIN_COLOR, label="inference")
    axes.set_xticks(places, [*names, *reversed(names)], rotation=60, ha="right", rotation_mode="anchor")
    axes.axvline(len(names) - 0.5, color="black", linewidth=1)
    top = max(training) / MEBIBYTE
    axes.set_ylim(0, 1.35 * top)
    axes.text(len(names) / 2 - 0.5, 1.12 * top, "forward", ha="center", fontsize=9)
    axes.text(1.5 * len(names) - 0.5, 1.12 * top, "backward", ha="center", fontsize=9)
    axes.set_ylabel("MiB per image", fontsize=9)
    axes.legend(loc="upper center", ncols=2, fontsize=9, frameon=False)
    return figure
