"""Did you mean …?"""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: object, options: Iterable[object]) -> str:
    """A clause to append to an error message: "; did you mean X?", or nothing where no option is near, in any case."""
    by_folded = {str(option).casefold(): option for option in options}
    found = get_close_matches(str(word).casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[found[0]]}?" if found else ""
