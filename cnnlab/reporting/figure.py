"""What the figures of a run share: colours, titles that fit, and a file that is replaced whole."""

import textwrap
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.cells import cell_len

from cnnlab.reporting.fonts import with_glyphs
from cnnlab.runs.files import write_atomically

DPI = 150
TRAIN_COLOR = "#0072b2"
VALIDATION_COLOR = "#d55e00"
WRONG_COLOR = "#b3261e"
MUTED_COLOR = "#6b7280"
GRID_COLOR = "#e2e5ea"
COLORS = (TRAIN_COLOR, VALIDATION_COLOR, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by the colour-blind (Okabe & Ito 2008)."""

_CHARACTERS_PER_INCH = 10.5  # of a title of 11 points


def new_figure(width: float, height: float, title: str | None = None) -> Figure:
    """A white figure of `width` × `height` inches, laid out so that nothing overlaps or is cut off."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    if title:
        lines = textwrap.fill(title, int(width * _CHARACTERS_PER_INCH))
        figure.suptitle(lines, fontsize=11, fontweight="bold", parse_math=False)
    return figure


def style_axes(axes: Axes) -> None:
    """A light grid behind the data and no box around it."""
    axes.grid(color=GRID_COLOR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def whole_ticks(axis: Axis, most: int = 10) -> None:
    """At most so many steps between ticks, at whole numbers alone, such as epochs; perhaps a single tick."""
    axis.set_major_locator(MaxNLocator(most, integer=True, min_n_ticks=1))


def shorten(name: str, length: int) -> str:
    """Cut a class or file name to `length` characters, the last an ellipsis where something is missing.

    Wide characters, such as Chinese ones, count twice. Bytes of a file name that are no UTF-8 become U+FFFD, since
    Matplotlib cannot draw them.
    """
    name = _drawable(name)
    return name if cell_len(name) <= length else _first(name, length - 1) + "…"


def shorten_middle(name: str, length: int) -> str:
    """Cut a file name to `length` characters; an ellipsis replaces its middle, since files often differ at the end.

    Otherwise as `shorten`.
    """
    name = _drawable(name)
    if cell_len(name) <= length:
        return name
    end = (length - 1) // 2
    return f"{_first(name, length - 1 - end)}…{_first(name[::-1], end)[::-1]}"


def _drawable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _first(name: str, length: int) -> str:
    widths = accumulate(map(cell_len, name))
    return name[: sum(width <= length for width in widths)]


def save_figure(figure: Figure, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a PNG of 150 dots per inch; a figure that was there stays until the new one is complete.

    Args:
        metadata: text chunks of the PNG.
    """
    with write_atomically(path) as temporary, with_glyphs(figure):
        figure.savefig(temporary, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15, metadata=metadata)
