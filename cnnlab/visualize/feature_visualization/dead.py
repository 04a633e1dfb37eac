"""Dead channels, the same everywhere: how they are recognised, marked and named."""

from collections.abc import Iterable, Sequence

import numpy as np

FLAT = 1e-6
"""Span of a channel, as a share of its largest magnitude, up to which it is constant; float32 rounds by a tenth."""

MOST_NAMED = 12
"""Dead channels that a title lists."""


def constant(lowest: np.ndarray, highest: np.ndarray, values: int) -> np.ndarray:
    """Whether channels are the same everywhere.

    Args:
        lowest, highest: float (n,) the least and the largest value of each.
        values: how many each has been seen to take; of a single one nothing can be said.

    Returns:
        Bool (n,).
    """
    if values < 2:
        return np.zeros(len(lowest), bool)
    return highest - lowest <= FLAT * np.maximum(np.abs(lowest), np.abs(highest))


def unexcited(usual: np.ndarray, lowest: np.ndarray, share: float) -> np.ndarray:
    """Whether channels behind a ReLU are usually at its zero, or next to it.

    Of a channel that no ReLU ends, such as a linear one or one of tanh, that is as good a value as any other: only one
    whose least value is zero itself counts.

    Args:
        usual: float (n,) what is usual of each, such as a percentile.
        lowest: float (n,) the least value of each.
        share: of the largest of `usual`, up to which it is next to zero.

    Returns:
        Bool (n,).
    """
    return (lowest == 0) & (usual <= share * usual.max())


def labels(numbers: Sequence[int], dead: Iterable[bool]) -> list[str]:
    """The numbers of channels, the dead ones with a dagger."""
    return [f"{number} †" if is_dead else str(number) for number, is_dead in zip(numbers, dead, strict=True)]


def note(numbers: Sequence[int], dead: Iterable[bool], where: str) -> str:
    """What a title says of dead channels: "; 2 of them dead on this image (†): 3, 7", or nothing where all live."""
    named = [str(number) for number, is_dead in zip(numbers, dead, strict=True) if is_dead]
    if not named:
        return ""
    more = ", …" if len(named) > MOST_NAMED else ""
    return f"; {len(named)} of them dead on {where} (†): {', '.join(named[:MOST_NAMED])}{more}"
