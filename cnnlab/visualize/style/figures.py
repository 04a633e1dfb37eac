"""The pictures and tables of a style transfer."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnlab.reporting.figure import (
    MUTED_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    new_figure,
    save_figure,
    shorten,
    style_axes,
    whole_ticks,
)
from cnnlab.visualize.style.losses import TERMS
from cnnlab.visualize.style.optimizers import Descended

COLUMNS = 4
MOST = 30
"""Images of the way that progress.png shows."""

NEGLIGIBLE = 1e-3
"""Share of the lowest total below which loss.png shows no term."""

CELL = 2.2  # inches
LABEL_LENGTH = 30
COLORS = {"total": "#111827", "content": TRAIN_COLOR, "style": VALIDATION_COLOR, "total_variation": MUTED_COLOR}


def write_image(image: np.ndarray, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a PNG of nothing but the image, float (H, W, 3) from 0 to 255, and its text chunks."""
    chunks = PngInfo()
    for name, text in metadata.items():
        chunks.add_text(name, text)
    Image.fromarray(_to_uint8(image)).save(path, pnginfo=chunks)


def draw_progress(
    content: np.ndarray,
    style: np.ndarray,
    descents: Sequence[Descended],
    folder: Path,
    metadata: Mapping[str, str],
) -> None:
    """Draw progress.png, the two images and the way from the start to the result, and keep them in images.npz.

    Args:
        content, style: float32 (H, W, 3) from 0 to 255.
        descents: one per scale.
    """
    steps = list(_steps(descents))
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST)).round().astype(int))
    cells = [("content", content), ("style", style)]
    cells += [(f"{number} · loss {loss:.3g}", image) for number, loss, image in (steps[index] for index in kept)]
    rows = math.ceil(len(cells) / COLUMNS)
    columns = math.ceil(len(cells) / rows)
    height, width = content.shape[:2]
    figure = new_figure(CELL * columns, 0.35 + rows * ((CELL - 0.08) * height / width + 0.2), metadata["Title"])
    for axes, (label, image) in zip(figure.subplots(rows, columns, squeeze=False).flat, cells, strict=False):
        axes.imshow(_to_uint8(image))
        axes.set_title(shorten(label, LABEL_LENGTH), fontsize=8, color=MUTED_COLOR, pad=3)
    for axes in figure.axes:
        axes.set_axis_off()
    save_figure(figure, folder / "progress.png", metadata)
    images: dict[str, Any] = {f"iteration_{steps[index][0]}": _to_uint8(steps[index][2]) for index in kept}
    np.savez_compressed(folder / "images.npz", content=_to_uint8(content), style=_to_uint8(style), **images)


def write_losses(descents: Sequence[Descended], folder: Path, metadata: Mapping[str, str]) -> None:
    """Write the weighted terms of the loss and their sum, before the first iteration and after each.

    loss.csv has a row per scale and iteration; loss.png shows them on a logarithmic axis.
    """
    table = loss_table(descents)
    table.to_csv(folder / "loss.csv", index=False)
    figure = new_figure(7, 4, metadata["Title"])
    axes = figure.subplots()
    style_axes(axes)
    for name, color in COLORS.items():
        values = table[name].where(table[name] > 0)
        if values.notna().any():
            axes.plot(
                table.index, values, color=color, linewidth=2 if name == "total" else 1.4, label=name.replace("_", " ")
            )
    for start in np.flatnonzero(table["scale"].diff() > 0).tolist():
        axes.axvline(start, color=MUTED_COLOR, linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(axes.get_ylim()[0], NEGLIGIBLE * table["total"].min()))
    axes.set_xlabel("iteration")
    whole_ticks(axes.xaxis)
    axes.set_ylabel("weighted loss")
    if axes.lines:  # nothing is lost where nothing has a weight
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, folder / "loss.png", metadata)


def loss_table(descents: Sequence[Descended]) -> pd.DataFrame:
    """Columns scale (from 1, the coarsest), iteration (of the scale), total, content, style, total_variation."""
    tables = []
    for scale, descended in enumerate(descents, 1):
        table = pd.DataFrame(descended.losses, columns=TERMS)
        table.insert(0, "total", table.sum(axis=1))
        table.insert(0, "iteration", range(len(table)))
        table.insert(0, "scale", scale)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _steps(descents: Sequence[Descended]) -> Iterator[tuple[int, float, np.ndarray]]:
    """The images in order, with the iteration, counted over all scales, and the loss."""
    before = 0
    for number, descended in enumerate(descents):
        for iteration, image in descended.images.items():
            if iteration or number == 0:
                yield before + iteration, float(descended.losses[iteration].sum()), image
        before += len(descended.losses) - 1


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
