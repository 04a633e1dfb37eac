"""Letters of any script in figures: fonts that have them, or one line that says which to install."""

import logging
import unicodedata
import warnings
from collections.abc import Iterator, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

log = logging.getLogger(__name__)

PICTURED = ("last resort", "lastresort")
"""In the names of fonts that have every character, as a box with its script."""

REGULAR = 400
"""Weight of the face that stands for its family."""

INVISIBLE = ("Cc", "Cf")
"""Categories of characters that are no glyphs: control and format."""

VARIANTS = range(0xFE00, 0xFE10)
"""Characters that choose a form of the one before them, such as a coloured emoji."""

EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
"""First words of the names of characters that Noto Sans CJK has."""

SHOWN = 8
"""Characters that the warning quotes."""

_told: set[str] = set()
"""Fonts that this process has used."""


@contextmanager
def with_glyphs(figure: Figure) -> Iterator[None]:
    """Give the texts of a finished figure fonts that have their characters, and keep Matplotlib's warnings quiet.

    A text keeps its font; other installed ones fill in what that lacks. What none has is drawn as boxes, and told in
    one line, once per process and font to install.
    """
    missing: set[str] = set()
    for text in figure.findobj(Text):
        if text.get_text().isascii():
            continue
        characters = frozenset(filter(_is_drawn, text.get_text()))
        lacking = characters - present(font_manager.findfont(text.get_fontproperties()), characters)
        if lacking:
            families, nowhere = fallback(lacking)
            text.set_fontfamily([*text.get_fontfamily(), *families])
            missing |= nowhere
    _warn(missing)
    finder = logging.getLogger(font_manager.__name__)  # which tells of fonts without a bold face
    level = finder.level
    finder.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
            yield
    finally:
        finder.setLevel(level)


@cache
def present(font: str, characters: frozenset[str]) -> frozenset[str]:
    """Those of the characters that a font file has glyphs for."""
    opened = font_manager.get_font(font)
    return frozenset(character for character in characters if opened.get_char_index(ord(character)))


@cache
def fallback(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """As few installed families as together have the characters, those without serifs first.

    Returns:
        The names of the families, and the characters that no font has.
    """
    _look_for_new_fonts()
    fonts = {}
    for entry in font_manager.fontManager.ttflist:
        is_real = not any(name in entry.name.lower() for name in PICTURED) and Path(entry.fname).is_file()
        if entry.style == "normal" and is_real and (entry.name not in fonts or entry.weight == REGULAR):
            fonts[entry.name] = str(entry.fname)
    has = {name: present(file, characters) for name, file in fonts.items()}
    chosen, left = [], characters
    while left:
        best = max(sorted(has), key=lambda name: (len(has[name] & left), "Sans" in name, "Mono" not in name))
        if not has[best] & left:
            break
        chosen.append(best)
        left -= has[best]
    return tuple(chosen), left


def font_for(character: str) -> str:
    """A free font that has a character, with its package in Debian and Ubuntu."""
    script = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
    if not script:
        return "a font that has them"
    if script in EAST_ASIAN:
        return "Noto Sans CJK (package fonts-noto-cjk)"
    if unicodedata.category(character).startswith("S"):
        return "Symbola (package fonts-symbola)"
    return f"a font for {script.title()} (such as Noto Sans, package fonts-noto-core)"


@cache
def _look_for_new_fonts() -> None:
    """Matplotlib remembers the fonts of its first start; one installed since is what the hint named."""
    known = {str(entry.fname) for entry in font_manager.fontManager.ttflist}
    for file in font_manager.findSystemFonts():
        if file not in known:
            try:
                font_manager.fontManager.addfont(file)
            except (OSError, RuntimeError, NotImplementedError) as error:  # such as bitmaps, as coloured emoji are
                log.debug("%s: no font for figures: %s", file, error)


def _is_drawn(character: str) -> bool:
    return unicodedata.category(character) not in INVISIBLE and ord(character) not in VARIANTS


def _warn(missing: Set[str]) -> None:
    """Say which fonts to install, each once."""
    new = sorted(character for character in missing if font_for(character) not in _told)
    if new:
        fonts = sorted({font_for(character) for character in new})
        _told.update(fonts)
        shown = " ".join(new[:SHOWN]) + (" …" if len(new) > SHOWN else "")
        log.warning(
            "figures show boxes for %s: no installed font that Matplotlib can draw has them; install %s",
            shown,
            " and ".join(fonts),
        )
