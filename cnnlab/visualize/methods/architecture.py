"""`method=architecture`: the network as a graph with shapes, and the receptive field of each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from omegaconf import DictConfig

from cnnlab.data.load import count_classes
from cnnlab.models.network import build_network
from cnnlab.models.receptive_field import ReceptiveField, receptive_fields
from cnnlab.reporting.figure import MUTED_COLOR, TRAIN_COLOR, new_figure, save_figure, style_axes, whole_ticks
from cnnlab.visualize.drawing.diagram import draw_diagram
from cnnlab.visualize.drawing.wiring import wire
from cnnlab.visualize.layers import computing_layers
from cnnlab.visualize.subject import load_subject

NESTED = 7
"""Fields that are drawn into one another."""


def draw_architecture(config: DictConfig, folder: Path, *, fold: bool = True) -> None:
    """Draw the configured network.

    Writes architecture.png (of large networks also architecture-2.png, …), receptive_fields.png, and
    receptive_fields.csv with the columns layer, type, output, height, width, stride_y, stride_x, offset_y, offset_x and
    parameters: the units in row i see `height` pixels from offset_y + stride_y · i on; see `receptive_fields`.

    Args:
        config: `model`, `dataset` for the shape of the images and the number of classes, `run`; or `weights`. Without a
            file of weights the network is built as it is configured, without weights and without its preprocessing.
        folder: where to write.
        fold: show normalisation, activation and dropout as words in the box they follow, if nothing else reads that.

    Raises:
        UserError: the network cannot be built (see `build_network`).
    """
    network, title = _network(config)
    shape = network.input_shape[1:]
    title = f"{title} · {'×'.join(map(str, shape))} · {network.count_params():,} parameters"
    draw_diagram(wire(network, fold=fold), folder / "architecture.png", title, _metadata(title, config))
    fields = receptive_fields(network)
    tabulate(network, fields).to_csv(folder / "receptive_fields.csv", index=False)
    _draw_fields(_growth(network, fields), shape, folder / "receptive_fields.png", title, _metadata(title, config))


def tabulate(network: keras.Model, fields: Mapping[str, ReceptiveField]) -> pd.DataFrame:
    """A line per layer, in the order of computation."""
    lines = []
    for name, layer in computing_layers(network).items():
        rows, columns = fields[name].rows, fields[name].columns
        lines.append(
            {
                "layer": name,
                "type": type(layer).__name__,
                "output": "x".join(map(str, layer.output.shape[1:])),
                "height": _number(rows.size),
                "width": _number(columns.size),
                "stride_y": _number(rows.stride),
                "stride_x": _number(columns.stride),
                "offset_y": _number(rows.offset),
                "offset_x": _number(columns.offset),
                "parameters": layer.count_params(),
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Growth:
    """A layer whose units see more than those before it: its name, its place among all, and its field."""

    name: str
    place: int
    field: ReceptiveField


def _network(config: DictConfig) -> tuple[keras.Model, str]:
    if config.weights is not None and not config.run:
        subject = load_subject(config)
        return subject.network, subject.title
    shape = tuple(config.dataset.image_shape)
    network = build_network(config.model, shape, count_classes(config.dataset), pretrained=False)
    return network, config.name if config.run else config.model.name


def _metadata(title: str, config: DictConfig) -> dict[str, str]:
    return {"Title": title, "Model": str(config.run or config.weights or config.model.name)}


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


def _growth(network: keras.Model, fields: Mapping[str, ReceptiveField]) -> list[Growth]:
    """The layers on whose way the field grows, until a layer sees everything anyway."""
    found: list[Growth] = []
    for place, (name, field) in enumerate(fields.items(), 1):
        if field.rows.stride and field.rows.size > (found[-1].field.rows.size if found else 1):
            found.append(Growth(name, place, field))
    return found


def _draw_fields(
    growth: Sequence[Growth], shape: tuple[int, int, int], path: Path, title: str, metadata: Mapping[str, str]
) -> None:
    """On the left the sizes over the depth, on the right the fields of a few middle units in the image."""
    figure = new_figure(9.5, 4.4, title)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    if not growth:
        left.text(0.5, 0.5, "every layer sees the whole image", ha="center", transform=left.transAxes)
        left.set_axis_off()
        right.set_axis_off()
        save_figure(figure, path, metadata)
        return
    _draw_sizes(left, growth, shape[0])
    chosen = np.unique(np.linspace(0, len(growth) - 1, min(NESTED, len(growth))).round().astype(int))
    _draw_nested(right, [growth[index] for index in chosen], shape)
    save_figure(figure, path, metadata)


def _draw_sizes(axes: Axes, growth: Sequence[Growth], height: int) -> None:
    style_axes(axes)
    places = [each.place for each in growth]
    sizes = [float(each.field.rows.size) for each in growth]
    axes.plot(places, sizes, drawstyle="steps-post", color=TRAIN_COLOR, linewidth=1.2)
    axes.plot(places, sizes, "o", color=TRAIN_COLOR, markersize=4)
    axes.axhline(height, color=MUTED_COLOR, linestyle="--", linewidth=1)
    axes.annotate(
        f"image: {height}",
        (1, height),
        (0, 3),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=MUTED_COLOR,
    )
    axes.set_ylim(0, 1.08 * max(height, *sizes))
    axes.set_xlabel("layer, in the order of computation", fontsize=9)
    whole_ticks(axes.xaxis)
    axes.set_ylabel("height of the receptive field, pixels", fontsize=9)


def _draw_nested(axes: Axes, growth: Sequence[Growth], shape: tuple[int, int, int]) -> None:
    height, width = shape[:2]
    axes.add_patch(Rectangle((0, 0), width, height, facecolor="#f3f4f6", edgecolor=MUTED_COLOR, linestyle="--"))
    colors = colormaps["viridis"](np.linspace(0, 0.85, len(growth)))
    reach = [0.0, float(max(height, width))]
    for each, color in zip(growth, colors, strict=True):
        size_y, size_x = float(each.field.rows.size), float(each.field.columns.size)
        corner = ((width - size_x) / 2, (height - size_y) / 2)
        label = f"{each.name}: {size_y:.4g}×{size_x:.4g}"
        axes.add_patch(Rectangle(corner, size_x, size_y, fill=False, edgecolor=color, linewidth=1.6, label=label))
        reach += [*corner, corner[0] + size_x, corner[1] + size_y]
    margin = 0.03 * (max(reach) - min(reach))
    axes.set_xlim(min(reach) - margin, max(reach) + margin)
    axes.set_ylim(max(reach) + margin, min(reach) - margin)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title("fields around the middle of the image (dashed)", fontsize=9)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=7, frameon=False)
