"""The pages of the documentation and the commands on them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """A command on a page.

    Attributes:
        page: its file.
        words: as a shell splits it, without its comment.
        answer: the lines below it in a block that shows them.
    """

    page: str
    words: tuple[str, ...]
    answer: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands() -> Iterator[Line]:
    """Every command of every page, and of the recipes' comments, which the pages of options show; each once."""
    seen: set[tuple[str, ...]] = set()
    for line in [*_on_pages(), *_of_recipes()]:
        if line.words not in seen:
            seen.add(line.words)
            yield line


def _on_pages() -> Iterator[Line]:
    for page in PAGES:
        for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            yield from _lines(page.name, block.replace("\\\n", " "), kind == "console")


def _of_recipes() -> Iterator[Line]:
    for file in sorted((ROOT / "conf" / "experiment").glob("*.yaml")):
        found = re.findall(r"^# ((?:cnnlab|python) .*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        plain = ("cnnlab", "train", f"experiment={file.stem}")  # tests/config/test_shipped.py composes every recipe
        yield from (line for line in _lines(file.name, "\n".join(found), has_answers=False) if line.words != plain)


def _lines(page: str, block: str, has_answers: bool) -> Iterator[Line]:
    if has_answers:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *answer = part.splitlines()
            yield Line(page, tuple(shlex.split(command, comments=True)), tuple(answer))
        return
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            yield Line(page, tuple(words[: words.index("&&")]))
            words = words[words.index("&&") + 1 :]
        if words:
            yield Line(page, tuple(words))
