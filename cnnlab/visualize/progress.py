"""A progress bar for what takes longer than a few seconds."""

from collections.abc import Generator, Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Generator[T, None, None]:
    """Pass on `items` behind a bar on stderr that is gone at the end; without a terminal there is none.

    Args:
        what: is being done.
        total: the number of items, where they have no length.
    """
    console = Console(stderr=True)
    yield from rich_track(items, what, total=total, console=console, transient=True, disable=not console.is_terminal)
