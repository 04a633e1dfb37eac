"""Did you mean …?"""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, options: Iterable[object], most: int = 1) -> str:
    """A clause to append to an error message: "; did you mean X?", or nothing where no option is near.

    Args:
        most: how many options it names at most, as X, Y or Z, the most alike first; their case does not count.
    """
    by_folded = {str(option).casefold(): str(option) for option in options}
    found = get_close_matches(str(word).casefold(), by_folded, n=most, cutoff=0.6)
    *others, last = [by_folded[each] for each in found] or [""]
    names = f"{', '.join(others)} or {last}" if others else last
    return f"; did you mean {names}?" if last else ""
