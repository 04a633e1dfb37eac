"""All figures of a comparison."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cnnlab.compare.collect import Comparison
from cnnlab.compare.curves import draw_epochs, draw_steps, draw_time_to_accuracy
from cnnlab.compare.heatmap import draw_heatmap


def draw_figures(
    comparison: Comparison, runs: pd.DataFrame, metric: str, smoothing: int, folder: Path
) -> Iterator[Path]:
    """Draw the curves, and of two swept keys the heat map, into `folder`; yields the PNGs."""
    for column in ("accuracy", "loss"):
        path = folder / f"steps_{column}.png"
        draw_steps(comparison, column, path, smoothing)
        yield path
    for draw, name in ((draw_epochs, "epochs.png"), (draw_time_to_accuracy, "time_to_accuracy.png")):
        draw(comparison, folder / name)
        yield folder / name
    if len(comparison.keys) == 2:
        draw_heatmap(runs, comparison.keys, metric, folder / "heatmap.png")
        yield folder / "heatmap.png"
