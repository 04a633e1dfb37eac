"""What a dataset consists of, in a line per split: images, classes, and what was left out."""

import csv
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab.data.dataset import Dataset, Skipped
from cnnlab.reporting.words import counted, first_few, reasons
from cnnlab.runs.files import write_atomically

log = logging.getLogger(__name__)

IMBALANCE = 10


@dataclass(frozen=True)
class SplitSummary:
    """What a split consists of.

    Attributes:
        images: their number.
        classes: how many of the dataset's have an image in it.
        smallest, largest: the name and the number of images of the classes with the fewest and the most of these;
            of several, the first.
        missing: the classes without an image in it.
        skipped: how many files were left out for each reason.
    """

    images: int
    classes: int
    smallest: tuple[str, int]
    largest: tuple[str, int]
    missing: tuple[str, ...]
    skipped: dict[str, int]

    def __str__(self) -> str:
        """One line for people."""
        (least, fewest), (most, largest) = self.smallest, self.largest
        parts = [f"{counted(self.images, 'image')} of {counted(self.classes, 'class', 'classes')}"]
        if fewest < largest:
            parts[0] += f", from {fewest:,} ({least}) to {largest:,} ({most})"
        elif self.classes > 1:
            parts[0] += f", {fewest:,} each"
        if self.missing:
            parts.append(f"none of {first_few(self.missing)}")
        if self.skipped:
            parts.append(f"{sum(self.skipped.values()):,} skipped ({reasons(self.skipped)})")
        return "; ".join(parts)


def summarize(dataset: Dataset) -> dict[str, SplitSummary]:
    """The summary of each split."""
    names, skipped = dataset.class_names, _by_final_split(dataset.skipped, dataset.splits)
    summaries = {}
    for name, split in dataset.splits.items():
        counts = np.bincount(split.labels, minlength=len(names))
        present = np.flatnonzero(counts)
        smallest, largest = present[counts[present].argmin()], counts.argmax()
        summaries[name] = SplitSummary(
            images=len(split),
            classes=len(present),
            smallest=(names[smallest], int(counts[smallest])),
            largest=(names[largest], int(counts[largest])),
            missing=tuple(names[label] for label in np.flatnonzero(counts == 0)),
            skipped=dict(Counter(skipped[name].values()).most_common()),
        )
    return summaries


def tell_imbalance(dataset: Dataset, sampling: str | None = None, class_weight: object = None) -> None:
    """Hint at what helps where the training split has more than `IMBALANCE` times as many images of one class.

    Args:
        sampling, class_weight: see conf/dataset and conf/loss; where they already help, nothing is said.
    """
    if sampling == "balanced" or class_weight is not None:
        return
    summary = summarize(dataset)["train"]
    (least, fewest), (most, largest) = summary.smallest, summary.largest
    if largest > IMBALANCE * fewest:
        log.warning(
            "%s: the classes are very unequal, from %s (%s) to %s (%s) images; dataset.sampling=balanced draws them "
            "alike, loss.class_weight=balanced weighs them",
            dataset.name, f"{fewest:,}", least, f"{largest:,}", most,
        )  # fmt: skip


def list_skipped(path: Path, skipped: Skipped) -> None:
    """Write a table with the columns path and reason, and say so; where nothing was left out, there is no table.

    Bytes of a name that are no UTF-8 are escaped.
    """
    if not any(skipped.values()):
        path.unlink(missing_ok=True)
        return
    with (
        write_atomically(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["path", "reason"])
        for files in skipped.values():
            writer.writerows(files.items())
    log.info("the skipped files are listed in %s", path)


def _by_final_split(skipped: Skipped, splits: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """What was left out of a split that has joined the training split counts there."""
    found: dict[str, dict[str, str]] = {name: {} for name in splits}
    for name, files in skipped.items():
        found[name if name in splits else "train"] |= files
    return found
