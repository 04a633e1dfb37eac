"""What pages that need nothing but themselves are made of: one style, embedded figures, tables."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

_TWO_COLUMNS = 1500  # pixels from which a figure takes both columns
_LEAST_SCALE = 0.36  # to which a figure shrinks before it is scrolled; 9-point letters stay legible


def style() -> str:
    """The style sheet of all pages: light and dark, from a phone's width on."""
    return files("cnnlab.reporting").joinpath("page.css").read_text("utf-8")


def figure(path: Path) -> str:
    """A PNG as an embedded figure, which no phone shrinks beyond legibility."""
    png = path.read_bytes()
    width = int.from_bytes(png[16:20])  # of the header chunk, which every PNG begins with
    wide = ' class="full"' if width > _TWO_COLUMNS else ""
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    style = f"min-width: {round(width * _LEAST_SCALE)}px"
    name = escape(f"{path.parent.name}: {path.stem}")
    return f'<figure{wide}><img src="{source}" style="{style}" alt="{name}"></figure>'


def table(rows: Iterable[Sequence[str]], *, header: bool = False) -> str:
    """A table whose first column is text and whose further ones are numbers if there is a header."""
    lines = []
    for index, row in enumerate(rows):
        tag = "th" if header and index == 0 else "td"
        number = ' class="number"' if header else ""
        cells = (f"<{tag}{number if column else ''}>{escape(text)}</{tag}>" for column, text in enumerate(row))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"
