"""Pages that need nothing but themselves: their templates, style, figures and tables."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

MODEL_SHA256 = "model_sha256"
"""Name of the text chunk of a PNG that says which model it was drawn from, as metrics.json has it of an evaluation."""

_TEMPLATES = Environment(
    loader=PackageLoader("cnnlab.reporting", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_LEAST_SCALE = 0.6  # to which a figure shrinks before it is scrolled: letters of 6 points stay legible
_HALF = 560  # pixels; what is wider takes both columns


def render(template: str, **values: Any) -> str:
    """A page or part from a template of this package; all text is escaped."""
    return _TEMPLATES.get_template(template).render(values)


def style() -> str:
    """The style sheet of all pages: light and dark, on paper, from a phone's width on."""
    return render("page.css")


def figure(path: Path, caption: str = "", alt: str = "", link: str | None = None) -> str:
    """A PNG as a figure that is never too small to read, and that a click enlarges.

    Args:
        path: of the PNG, which is embedded unless there is a link.
        caption: below it; by default the title in the PNG's metadata, without the name of the model in front.
        alt: what it shows, put before the caption for those who do not see it.
        link: the address of the PNG, where it stays outside of the page.
    """
    with Image.open(path) as image:
        width, title = round(image.width * _LEAST_SCALE), image.info.get("Title", "")
    source = link or f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    caption = caption or title.partition(" · ")[2] or title
    alt = " ".join(part for part in (alt, caption) if part) or f"{path.parent.name}: {path.stem}"
    return _parts().figure(source, width, width > _HALF, caption, alt, link)


def drawn_model(path: Path) -> str | None:
    """The SHA-256 of the model that a PNG was drawn from; None where it says none, as a figure of the data."""
    with Image.open(path) as image:
        return image.info.get(MODEL_SHA256)


def table(rows: Iterable[Sequence[str]], *, header: bool = False) -> str:
    """A table whose first column is text and whose further ones are numbers if there is a header."""
    return _parts().table(list(rows), header)


def _parts() -> Any:
    """The macros of parts.html."""
    return _TEMPLATES.get_template("parts.html").module
