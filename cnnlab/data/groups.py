"""Images that belong together, such as those of one patient or one scene, and must not be in two splits."""

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from cnnlab.data.classes import lookalikes
from cnnlab.data.dataset import Split
from cnnlab.errors import UserError

log = logging.getLogger(__name__)


def groups_of_names(names: Sequence[str], paths: Sequence[str], pattern: str) -> np.ndarray:
    """The group of each image, which a regular expression finds in its name.

    Args:
        names: one per image, searched for `pattern`.
        paths: one per image, unique.
        pattern: what its first pair of parentheses holds is the group.

    Returns:
        Array of names (numpy str). An image in whose name nothing is found is a group of its own, which is told.

    Raises:
        UserError: the pattern is found nowhere.
    """
    compiled = re.compile(pattern)
    found = [(match and match.group(1)) or "" for match in map(compiled.search, names)]
    if not any(found):
        raise UserError(f"dataset.group={pattern}: is found in no file's name, such as {names[0]}")
    return own_groups(found, paths, f"dataset.group={pattern}")


def own_groups(groups: Sequence[str], names: Sequence[str], source: str) -> np.ndarray:
    """Make images without a group, whose group is empty, groups of their own, and tell that.

    Groups of nearly the same name, which stay apart, are told too.

    Args:
        groups, names: one per image; names are unique.
        source: for the message.

    Returns:
        Array of names (numpy str).
    """
    alone = [name for group, name in zip(groups, names, strict=True) if not group]
    if alone:
        log.warning("%s: each image without a group is one (%s, such as %s)", source, f"{len(alone):,}", alone[0])
    alike = lookalikes(dict.fromkeys(filter(None, groups)))
    if alike:
        more = f", and so do {len(alike) - 1:,} more of nearly the same name" if alike[1:] else ""
        log.warning("%s: %s count as different groups%s", source, " and ".join(map(ascii, alike[0])), more)
    return np.array([group or f"\0{name}" for group, name in zip(groups, names, strict=True)], dtype=str)


def require_separate(splits: Mapping[str, Split], way_out: str) -> None:
    """Check that no group is in two splits.

    Args:
        splits: as a run uses them.
        way_out: the setting that gives groups up.

    Raises:
        UserError: one is; it is named.
    """
    groups = {name: np.unique(split.groups) for name, split in splits.items() if split.groups is not None}
    for first, second in combinations(groups, 2):
        shared = np.intersect1d(groups[first], groups[second])
        if len(shared):
            others = len(shared) - 1
            more = f", and so {'is' if others == 1 else 'are'} {others:,} more" if others else ""
            raise UserError(
                f"group {shared[0]} is in both the splits {first} and {second}{more}; bring each group into one split, "
                f"or give groups up: {way_out}"
            )
