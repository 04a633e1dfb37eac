"""Two swept keys against each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from cnnlab.reporting.figure import new_figure, save_figure, shorten

_NAME_LENGTH = 28


def draw_heatmap(runs: pd.DataFrame, keys: Sequence[str], metric: str, path: Path) -> None:
    """Draw the mean of a metric for every pair of values, with its standard deviation over the seeds and their number.

    Args:
        runs: see `tables.runs_table`; only those that count do.
        keys: two columns: whose values are the rows, and whose are the columns.
        metric: a column.
        path: the PNG to write or replace.
    """
    rows, columns = (list(dict.fromkeys(runs[key])) for key in keys)
    groups = runs[runs["counted"]].groupby(list(keys))[metric]
    table = pd.DataFrame({"mean": groups.mean(), "std": groups.std(), "n": groups.count()})
    means = table["mean"].unstack().reindex(index=rows, columns=columns).to_numpy(float)
    figure = new_figure(2.5 + 1.15 * len(columns), 1.6 + 0.75 * len(rows), f"{metric}: {keys[0]} against {keys[1]}")
    axes = figure.subplots()
    mesh = axes.pcolormesh(np.ma.masked_invalid(means), cmap="viridis", edgecolors="white", linewidth=2)
    axes.invert_yaxis()
    share = metric.endswith("accuracy")
    for row, column in np.ndindex(means.shape):
        text, color = "–", "black"
        if (rows[row], columns[column]) in table.index and not np.isnan(means[row, column]):
            text = _cell(table.loc[(rows[row], columns[column])], share)
            color = "black" if np.greater(mesh.norm(means[row, column]), 0.6) else "white"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(np.arange(len(columns)) + 0.5, [shorten(name, _NAME_LENGTH) for name in columns], fontsize=9)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [shorten(name, _NAME_LENGTH) for name in rows], fontsize=9)
    if max(map(len, columns)) > 12:
        axes.tick_params(axis="x", rotation=30)
    axes.set_ylabel(keys[0], fontsize=9)
    axes.set_xlabel(keys[1], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, format=PercentFormatter(xmax=1) if share else None)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    save_figure(figure, path)


def _cell(found: pd.Series, share: bool) -> str:
    mean = f"{found['mean']:.2%}" if share else f"{found['mean']:.4g}"
    if found["n"] < 2:
        return f"{mean}\nn = {found['n']:.0f}"
    spread = f"{100 * found['std']:.2f}" if share else f"{found['std']:.2g}"
    return f"{mean}\n± {spread}\nn = {found['n']:.0f}"
