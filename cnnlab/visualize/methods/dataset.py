"""`method=dataset`: what a network is trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from omegaconf import DictConfig

from cnnlab.config.ranges import AT_LEAST_1, SEED
from cnnlab.data.dataset import SPLITS, Dataset, DecodedSplit, Split
from cnnlab.data.load import load_dataset
from cnnlab.data.sample import decoded, draw, sample
from cnnlab.reporting.figure import TRAIN_COLOR, new_figure, save_figure, shorten, style_axes, whole_ticks
from cnnlab.visualize.drawing.grid import Row, draw_grid

COLUMNS = 8
NAME_LENGTH = 18
MOST = 60
"""Classes whose mean is drawn."""

BATCH = 256
"""Images that are decoded at a time for the mean."""


def draw_dataset(
    config: DictConfig,
    folder: Path,
    *,
    images: Annotated[int, AT_LEAST_1] = 40,
    mean_of: Annotated[int, AT_LEAST_1] | None = 10000,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Draw random training images, the number of images per class and split, and the mean images.

    Writes images.png, classes.png (and classes.csv), mean.png (the mean of all classes, then of each, at most of the
    first 60), and dataset.npz: `images`, `labels`, `mean` (H, W, C), `class_means` (K, H, W, C), both float32 from 0
    to 255.

    Args:
        config: `dataset` and `seeds` are used; no network is needed.
        folder: where to write.
        images: how many in the grid.
        mean_of: how many training images the means are made of; None for all.
        seed: of both draws.

    Raises:
        UserError: the dataset cannot be read.
    """
    dataset = load_dataset(config.dataset, config.seeds.split)
    train = dataset.splits["train"]
    metadata = {"Seed": str(seed), "Dataset": dataset.name}
    shown = sample(train, images, seed)
    averaged = train if mean_of is None else draw(train, mean_of, seed)
    mean, class_means = mean_images(averaged, len(dataset.class_names))

    _draw_images(shown, dataset, folder / "images.png", metadata)
    _draw_counts(dataset, folder, metadata)
    _draw_means(mean, class_means, dataset, len(averaged), folder / "mean.png", metadata)
    np.savez_compressed(
        folder / "dataset.npz", images=shown.images, labels=shown.labels, mean=mean, class_means=class_means
    )


def mean_images(split: Split, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean image of a split, and of each of its classes.

    Returns:
        Float32 (H, W, C) and (classes, H, W, C), from 0 to 255; NaN for a class without images.

    Raises:
        UserError: an image file cannot be decoded.
    """
    sums, counts = np.zeros(0, np.float32), np.bincount(split.labels, minlength=classes)
    for start in range(0, len(split), BATCH):
        batch = decoded(split.take(np.arange(start, min(start + BATCH, len(split)))))
        if not start:
            sums = np.zeros((classes, *batch.images.shape[1:]), np.float32)
        for label in np.unique(batch.labels):
            sums[label] += batch.images[batch.labels == label].sum(axis=0, dtype=np.float32)
    mean = sums.sum(axis=0, dtype=np.float64) / counts.sum()
    with np.errstate(invalid="ignore"):
        sums /= counts[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float32)
    return mean.astype(np.float32), sums


def _draw_images(shown: DecodedSplit, dataset: Dataset, path: Path, metadata: dict[str, str]) -> None:
    title = f"{dataset.name} · {len(shown)} training images"
    names = [dataset.class_names[label] for label in shown.labels]
    draw_grid(_rows(shown.images, names), path, title, metadata | {"Title": title})


def _draw_means(
    mean: np.ndarray, class_means: np.ndarray, dataset: Dataset, count: int, path: Path, metadata: dict[str, str]
) -> None:
    present = np.flatnonzero(np.isfinite(class_means[:, 0, 0, 0]))
    which = "each class" if len(present) <= MOST else f"the first {MOST} of {len(present):,} classes"
    title = f"{dataset.name} · mean of {count:,} training images, and of {which}"
    present = present[:MOST]
    means = np.stack([mean, *class_means[present]]).round().astype(np.uint8)
    names = ["all classes", *(dataset.class_names[label] for label in present)]
    draw_grid(_rows(means, names), path, title, metadata | {"Title": title})


def _rows(images: np.ndarray, names: Sequence[str]) -> list[Row]:
    starts = range(0, len(images), COLUMNS)
    return [Row("", images[start : start + COLUMNS], names[start : start + COLUMNS]) for start in starts]


def _draw_counts(dataset: Dataset, folder: Path, metadata: dict[str, str]) -> None:
    """A bar per class for every split, by name where these can be read; the same numbers as a table."""
    counts = pd.DataFrame(
        {
            name: np.bincount(dataset.splits[name].labels, minlength=len(dataset.class_names))
            for name in SPLITS
            if name in dataset.splits
        },
        index=pd.Index(dataset.class_names, name="class"),
    )
    counts.to_csv(folder / "classes.csv")
    title = f"{dataset.name} · images per class"
    figure = new_figure(1.8 + 2.4 * counts.shape[1], 1.1 + 0.24 * min(len(counts), MOST), title)
    cells = figure.subplots(1, counts.shape[1], sharey=True, squeeze=False)[0]
    for axes, (split, numbers) in zip(cells, counts.items(), strict=True):
        _draw_bars(axes, numbers.to_numpy(), f"{split}: {numbers.sum():,}")
    if len(counts) <= MOST:
        cells[0].set_yticks(range(len(counts)), [shorten(name, NAME_LENGTH) for name in counts.index], parse_math=False)
    else:
        cells[0].set_ylabel(f"{len(counts):,} classes, in the order of classes.csv", fontsize=9)
    cells[0].set_ylim(len(counts) - 0.5, -0.5)
    save_figure(figure, folder / "classes.png", metadata | {"Title": title})


def _draw_bars(axes: Axes, numbers: np.ndarray, title: str) -> None:
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    readable = len(numbers) <= MOST
    bars = axes.barh(range(len(numbers)), numbers, color=TRAIN_COLOR, height=0.75 if readable else 1)
    if readable:
        axes.bar_label(bars, [f"{number:,}" for number in numbers], fontsize=7, padding=2)
    axes.set_xlim(0, 1.25 * max(1, numbers.max()))
    whole_ticks(axes.xaxis, 3)
    axes.set_title(title, fontsize=9)
