"""Did you mean …?"""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: object, options: Iterable[object]) -> str | None:
    """The option most like `word`, whatever its case; None where none is near."""
    by_folded = {str(option).casefold(): str(option) for option in options}
    found = get_close_matches(str(word).casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(word: object, options: Iterable[object]) -> str:
    """A clause to append to an error message: "; did you mean X?", or nothing where no option is near."""
    option = nearest(word, options)
    return f"; did you mean {option}?" if option else ""
