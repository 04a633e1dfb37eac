"""Drawing boxes from top to bottom, branches side by side, long networks in several columns and pages."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from cnnlab.reporting.figure import MUTED_COLOR, new_figure, save_figure, shorten
from cnnlab.visualize.drawing.wiring import Box, Kind, rank

COLORS: dict[Kind, str] = {
    "input": "#ffffff",
    "convolution": "#cfe3f5",
    "pooling": "#f9c99a",
    "normalization": "#c4b8ea",
    "activation": "#dff0d8",
    "dense": "#eab6c0",
    "merge": "#fff1b3",
    "other": "#e6e9ee",
}
"""Told apart by the colour-blind, too: they differ in lightness where they differ in red against green alone."""

EDGE = "#5b6472"

# Inches.
WIDTH, HEIGHT = 1.5, 0.46
LANE = 0.16  # of a line that passes by
ROW = 0.66
GAP = 0.12
BETWEEN = 0.42  # columns
PAGE = 11.0  # wide

MOST_ROWS = 20
"""In a column."""

LINE = 0.14
LONGEST_NAME, LONGEST_LINE = 26, 32
LEGEND = 1.15
"""Inches of an entry."""


@dataclass(eq=False)
class _Slot:
    """A place in a row: of a box, or of a line that passes by the boxes of the row.

    Attributes:
        box: None for a line.
        before: the slots above that lead here.
        x, y: of the middle, within the column, downwards.
        column: which.
    """

    box: Box | None
    before: list["_Slot"]
    x: float = 0.0
    y: float = 0.0
    column: int = 0

    @property
    def width(self) -> float:
        return LANE if self.box is None else WIDTH


def draw_diagram(boxes: Sequence[Box], path: Path, title: str, metadata: Mapping[str, str]) -> list[Path]:
    """Draw a network.

    Args:
        boxes: each after those it reads from.
        path: of the PNG; further pages are called NAME-2.png, NAME-3.png, …
        title: over every page.
        metadata: text chunks of the PNGs.

    Returns:
        The files.
    """
    columns = _columns(_rows(boxes))
    _place(columns)
    files = []
    pages = list(_pages(columns))
    for number, page in enumerate(pages, 1):
        file = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        _draw_page(page, file, title + (f" · {number} of {len(pages)}" if len(pages) > 1 else ""), metadata)
        files.append(file)
    return files


def _rows(boxes: Sequence[Box]) -> list[list[_Slot]]:
    """The boxes by rank, with a slot in every row that a line passes by."""
    ranks = rank(list(boxes))
    rows: list[list[_Slot]] = [[] for _ in range(max(ranks.values()) + 1)]
    slots: dict[Box, _Slot] = {}
    passing: dict[tuple[Box, int], _Slot] = {}
    for box in boxes:
        above = []
        for source in box.before:
            slot = slots[source]
            for row in range(ranks[source] + 1, ranks[box]):
                if (source, row) not in passing:
                    passing[source, row] = _Slot(None, [slot])
                    rows[row].append(passing[source, row])
                slot = passing[source, row]
            above.append(slot)
        slots[box] = _Slot(box, above)
        rows[ranks[box]].append(slots[box])
    return rows


def _columns(rows: list[list[_Slot]]) -> list[list[list[_Slot]]]:
    """Cut the rows into columns of about the same height, if possible where a single box leads on."""
    height = math.ceil(len(rows) / math.ceil(len(rows) / MOST_ROWS))
    columns, start = [], 0
    while len(rows) - start > MOST_ROWS:
        ends = range(start + height // 2, min(start + MOST_ROWS, len(rows) - 1) + 1)
        end = min(ends, key=lambda end: (len(rows[end - 1]) > 1, abs(end - start - height)))
        columns.append(rows[start:end])
        start = end
    return [*columns, rows[start:]]


def _place(columns: list[list[list[_Slot]]]) -> None:
    for number, rows in enumerate(columns):
        for y, row in enumerate(rows):
            if y:  # below what they read from
                row.sort(key=lambda slot: sum(each.x for each in slot.before) / max(1, len(slot.before)))
            left = -(sum(slot.width for slot in row) + GAP * (len(row) - 1)) / 2
            for slot in row:
                slot.x, slot.y, slot.column = left + slot.width / 2, y * ROW, number
                left += slot.width + GAP


def _width(rows: list[list[_Slot]]) -> float:
    return 2 * max(abs(slot.x) + slot.width / 2 for row in rows for slot in row)


def _pages(columns: list[list[list[_Slot]]]) -> Iterator[list[list[list[_Slot]]]]:
    """As many columns to a page as its width holds."""
    page: list[list[list[_Slot]]] = []
    used = 0.0
    for rows in columns:
        width = _width(rows) + BETWEEN
        if page and used + width > PAGE:
            yield page
            page, used = [], 0.0
        page.append(rows)
        used += width
    yield page


def _draw_page(columns: list[list[list[_Slot]]], path: Path, title: str, metadata: Mapping[str, str]) -> None:
    widths = [_width(rows) + BETWEEN for rows in columns]
    width, height = sum(widths), max(len(rows) for rows in columns) * ROW
    figure = new_figure(max(width, 4.2) + 0.3, height + 1.0, title)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-0.05, width + 0.05)
    axes.set_ylim(height - ROW / 2 + 0.25, -ROW / 2 - 0.05)
    middles, beside = {}, {}  # by number of the column: its middle, and the line of its left side
    for rows, left, own in zip(columns, _sums(widths), widths, strict=True):
        middles[rows[0][0].column], beside[rows[0][0].column] = left + own / 2, left
    for rows in columns:
        _draw_groups(axes, rows, middles)
    for rows in columns:
        for slot in (slot for row in rows for slot in row):
            _draw_lines(axes, slot, middles, beside)
            if slot.box is not None:
                _draw_box(axes, slot.box, middles[slot.column] + slot.x, slot.y)
    kinds = {slot.box.kind for rows in columns for row in rows for slot in row if slot.box is not None}
    handles = [Patch(facecolor=COLORS[kind], edgecolor=EDGE, label=kind) for kind in COLORS if kind in kinds]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(1, min(len(handles), int(figure.get_figwidth() / LEGEND))),
        fontsize=7,
        frameon=False,
    )
    save_figure(figure, path, metadata)


def _sums(widths: Sequence[float]) -> list[float]:
    """The sum of all widths before each."""
    return [sum(widths[:number]) for number in range(len(widths))]


def _draw_box(axes: Axes, box: Box, x: float, y: float) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2, y - HEIGHT / 2),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor=COLORS[box.kind],
            edgecolor=EDGE,
            linewidth=0.6,
            zorder=3,
        )
    )
    shape = "×".join("?" if length is None else str(length) for length in box.shape)
    size = f"{shape} · {_count(box.parameters)}" if box.parameters else shape
    lines = [shorten(box.name, LONGEST_NAME), *([" · ".join(box.words)] if box.words else []), size]
    for number, line in enumerate(lines):
        place = y + LINE * (number - (len(lines) - 1) / 2)
        words = 0 < number < len(lines) - 1
        style: dict[str, Any] = {"weight": "normal" if number else "bold", "color": MUTED_COLOR if words else "black"}
        text = shorten(line, LONGEST_LINE)
        axes.text(x, place, text, ha="center", va="center", fontsize=6, zorder=4, parse_math=False, **style)


def _count(number: int) -> str:
    for limit, unit in ((10**6, "M"), (10**3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number)


def _draw_lines(axes: Axes, slot: _Slot, middles: Mapping[int, float], beside: Mapping[int, float]) -> None:
    """The lines from above to a slot, and through it where it is that of a line."""
    x = middles[slot.column] + slot.x
    top = slot.y - (HEIGHT / 2 if slot.box or not slot.y else ROW / 2)
    if slot.box is None:
        axes.plot([x, x], [top, slot.y + ROW / 2], color=EDGE, linewidth=0.8, zorder=1)
    for each in slot.before:
        if each.column == slot.column:
            start = each.y + (HEIGHT / 2 if each.box else ROW / 2)
            points = [(middles[each.column] + each.x, start), (x, top)]
        elif each.column in middles:  # down, up between the columns, and down again
            start, bottom = middles[each.column] + each.x, each.y + ROW / 2
            side = beside[slot.column]
            points = [
                (start, bottom - 0.1),
                (start, bottom),
                (side, bottom),
                (side, top - 0.14),
                (x, top - 0.14),
                (x, top),
            ]
        else:
            points = [(x, top - 0.14), (x, top)]
        head = {"arrowstyle": "-|>" if slot.box else "-", "color": EDGE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.plot(*zip(*points[:-1], strict=True), color=EDGE, linewidth=0.8, zorder=1)
        axes.annotate("", points[-1], points[-2], arrowprops=head | {"mutation_scale": 6}, zorder=1)


def _draw_groups(axes: Axes, rows: list[list[_Slot]], middles: Mapping[int, float]) -> None:
    """A ground behind the boxes of every nested model."""
    places = defaultdict(list)
    for slot in (slot for row in rows for slot in row):
        if slot.box is not None and slot.box.group:
            places[slot.box.group].append(slot)
    for group, slots in places.items():
        left = min(slot.x - slot.width / 2 for slot in slots) - 0.06 + middles[slots[0].column]
        right = max(slot.x + slot.width / 2 for slot in slots) + 0.06 + middles[slots[0].column]
        top, bottom = min(slot.y for slot in slots) - ROW / 2, max(slot.y for slot in slots) + ROW / 2 - 0.03
        ground = Rectangle((left, top), right - left, bottom - top, facecolor="#f3f4f6", edgecolor="#c3c8d0", zorder=0)
        axes.add_patch(ground)
        axes.text(left + 0.03, top + 0.07, group, fontsize=6, style="italic", color=MUTED_COLOR, va="center")
