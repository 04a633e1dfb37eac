"""Lists and counts in words, for messages, pages and tables."""

from collections.abc import Mapping, Sequence

FEW = 3
"""How many names of a longer list are shown."""


def reasons(counts: Mapping[str, int]) -> str:
    """How many of each, such as "9 hidden; 3 empty"."""
    return "; ".join(f"{count:,} {reason}" for reason, count in counts.items())


def first_few(names: Sequence[str], few: int = FEW) -> str:
    """The names, but of a long list only the first few and how many more there are."""
    more = f" and {len(names) - few} more" if len(names) > few else ""
    return ", ".join(names[:few]) + more


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number of things, such as "1,000 images"; without `several` the plural ends in s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
