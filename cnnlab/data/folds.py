"""Dividing examples into parts of equal classes, groups whole: the folds of cross-validation, and shares of groups."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cnnlab.data.dataset import Split
from cnnlab.errors import UserError
from cnnlab.reporting.words import first_few

log = logging.getLogger(__name__)

STAYS = -1
"""The part of examples that are never held out."""

_MOST_PARTS = 20
_DRAWS = 10
"""Draws after which it is given up to find one that leaves every class an example to train on."""


@dataclass(frozen=True)
class _Units:
    """What is held out as a whole: groups, or single images.

    Attributes:
        of: (N,) the unit of each example, from 0.
        noun: what it is called.
        stays: (N,) bool, examples of units that are all that a class has.
        count: how many units are left to be held out.
        most: how many of their images the largest class has: there can be no more parts with an image of it in each.
    """

    of: np.ndarray
    noun: str
    stays: np.ndarray
    count: int
    most: int


def choose_fold(split: Split, folds: int, fold: int, seed: int, class_names: Sequence[str]) -> tuple[Split, Split]:
    """Divide examples into folds of about equal size and equal classes, of which one validates.

    All folds of one seed are parts of one draw: each example is in exactly one of them, and so is each group. What is
    all that a class has, an image or a group, is in none: it always trains, which is told. By scikit-learn's
    StratifiedKFold or StratifiedGroupKFold.

    Args:
        split: everything but the test split.
        folds: how many.
        fold: which validates, from 0.
        seed: the split seed.
        class_names: in label order.

    Returns:
        The rest and the fold, both in the order of `split`.

    Raises:
        UserError: there are fewer groups or images than folds, or a class would be left without an image to train on.
    """
    key = f"dataset.folds={folds}"
    units = _find_units(split, key, class_names)
    if min(units.count, units.most) < folds:
        few_units, few_images = f"there are {units.count} {units.noun}s", f"no class has more than {units.most} images"
        raise UserError(f"{key}: {few_units if units.count < folds else few_images} to divide; use fewer folds")
    for parts in _draws(split, units, folds, (seed, 2)):
        if all(_is_complete(split, parts == part) for part in range(folds)):
            log.info("fold %d of %d validates (dataset.fold, from 0)", fold, folds)
            return split.take(np.flatnonzero(parts != fold)), split.take(np.flatnonzero(parts == fold))
    raise UserError(
        f"{key}: no division of the {units.noun}s was found that leaves each class an image to train on; use another "
        "number of folds"
    )


def hold_out_groups(
    split: Split, fraction: float, seed: tuple[int, int], key: str, class_names: Sequence[str]
) -> tuple[Split, Split]:
    """Hold out a share of each class, as far as whole groups allow; how far they do is told.

    A group that is all that a class has stays where it is, which is told. By scikit-learn's StratifiedGroupKFold, of
    whose parts as many are taken as come nearest to the share.

    Args, Returns: as `splits.hold_out`, of a split with groups.

    Raises:
        UserError: there are too few groups, or a class would be left without an image.
    """
    units = _find_units(split, key, class_names)
    smaller = min(fraction, 1 - fraction)
    parts_of = Fraction(fraction).limit_denominator(_MOST_PARTS).denominator
    of = min(parts_of if smaller * _MOST_PARTS >= 1 else round(1 / smaller), units.count, units.most)
    if of < 2:
        raise UserError(f"{key}: there are {units.count} groups that can be held out; at least 2 are needed")
    taken = min(max(1, round(fraction * of)), of - 1)
    best, nearest = None, (len(class_names) + 1, 1.0)
    for parts in _draws(split, units, of, seed):
        for first in range(of):
            share = (parts != STAYS) & ((parts - first) % of < taken)
            if _is_complete(split, share):
                missing = len(np.unique(split.labels)) - len(np.unique(split.labels[share]))
                distance = (missing, abs(share.mean() - fraction))
                best, nearest = (share, distance) if distance < nearest else (best, nearest)
        if best is not None:
            break
    if best is None:
        raise UserError(f"{key}: no draw of whole groups was found that leaves each class an image to train on")
    held_out = len(np.unique(units.of[best]))
    log.info(
        "%s: %s of %s groups are held out, %.3g of the images",
        key, f"{held_out:,}", f"{units.of.max() + 1:,}", best.mean(),
    )  # fmt: skip
    return split.take(np.flatnonzero(~best)), split.take(np.flatnonzero(best))


def random_state(*seed: int) -> np.random.RandomState:
    """The kind of random generator that scikit-learn takes, seeded by several numbers."""
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))


def _find_units(split: Split, key: str, class_names: Sequence[str]) -> _Units:
    """The groups or images, and which of them stay; the classes for which they do are told."""
    of = np.arange(len(split)) if split.groups is None else np.unique(split.groups, return_inverse=True)[1]
    pairs = np.unique(np.stack([split.labels, of]), axis=1)
    single = np.flatnonzero(np.bincount(pairs[0], minlength=len(class_names)) == 1).tolist()
    noun = "image" if split.groups is None else "group"
    if single:
        names = first_few([class_names[label] for label in single])
        log.warning("%s: %s: 1 %s each, which stays in the training split", key, names, noun)
    stays = np.isin(of, pairs[1][np.isin(pairs[0], single)])
    most = int(np.bincount(split.labels[~stays], minlength=1).max())
    return _Units(of, noun, stays, len(np.unique(of[~stays])), most)


def _draws(split: Split, units: _Units, count: int, seed: tuple[int, int]) -> Iterator[np.ndarray]:
    """(N,) parts from 0 to count - 1, or `STAYS`: several draws, one after the other."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # slow to import

    splitter = StratifiedKFold if units.noun == "image" else StratifiedGroupKFold
    free = np.flatnonzero(~units.stays)
    for draw in range(_DRAWS):
        random = random_state(*seed, draw)
        parts = np.full(len(split), STAYS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than parts: the summary tells it
            folds = splitter(count, shuffle=True, random_state=random).split(free, split.labels[free], units.of[free])
            for part, (_, members) in enumerate(folds):
                parts[free[members]] = part
        yield parts


def _is_complete(split: Split, share: np.ndarray) -> bool:
    """Whether something is held out, and each class has an example left."""
    return bool(share.any()) and len(np.unique(split.labels[~share])) == len(np.unique(split.labels))
