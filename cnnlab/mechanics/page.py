"""The course as one page that needs nothing but itself."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from cnnlab.mechanics.chapter import Chapter
from cnnlab.reporting import page
from cnnlab.runs.files import write_atomically

TEXTS = files("cnnlab.mechanics")

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def write_page(chapters: Sequence[Chapter], folder: Path) -> None:
    """Write index.html, with the figures embedded.

    Args:
        folder: which holds CHAPTER_NAME.png for each figure.

    Raises:
        KeyError: the words of a chapter name a figure or value that it does not have.
    """
    course = _template("page").substitute(
        style=page.style(),
        contents="".join(f'<li><a href="#{chapter.name}">{escape(chapter.title)}</a></li>' for chapter in chapters),
        chapters="".join(_section(chapter, folder) for chapter in chapters),
    )
    with write_atomically(folder / "index.html") as temporary:
        temporary.write_text(course, "utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in HTML; the first column is text, further ones are numbers."""
    return f'<div class="wide">{page.table([header, *rows], header=True)}</div>'


def dimensions(shape: Iterable[int]) -> str:
    """A shape in words that stay on one line, such as 5 × 5 × 3."""
    return "\u00a0×\u00a0".join(map(str, shape))


def scientific(value: float) -> str:
    """A small number, at least 0, by its power of ten, such as 1.4 × 10⁻¹⁴."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}\u00a0×\u00a010{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def _section(chapter: Chapter, folder: Path) -> str:
    sources = {name: _embedded(folder / f"{chapter.name}_{name}.png") for name in chapter.figures}
    words = _template(chapter.name).substitute(sources | dict(chapter.values))
    return f'<section id="{chapter.name}"><h2>{escape(chapter.title)}</h2>{words}</section>'


def _template(name: str) -> Template:
    return Template(TEXTS.joinpath(f"{name}.html").read_text("utf-8"))


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
