"""The headline figures of an evaluation in the terminal, and what they leave out."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlab.data.classes import list_names
from cnnlab.reporting.describe import describe

log = logging.getLogger(__name__)


def print_summary(title: str, metrics: Mapping[str, Any]) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(title))
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    for row in describe(metrics):
        table.add_row(*row)
    Console().print(table)


def tell_undefined(labels: np.ndarray, predicted: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Say which classes the averages leave out, and why."""
    without_image, never_predicted = (
        [
            name
            for name, count in zip(class_names, np.bincount(indices, minlength=len(class_names)), strict=True)
            if not count
        ]
        for indices in (labels, predicted)
    )

    def over(absent: Sequence[str]) -> str:
        return f"over {len(class_names) - len(absent)} of {len(class_names)} classes"

    if without_image == never_predicted and without_image:
        log.warning("averages %s: no image of %s", over(without_image), list_names(without_image))
        return
    if without_image:
        log.warning("recall is averaged %s: no image of %s", over(without_image), list_names(without_image))
    if never_predicted:
        log.warning(
            "precision is averaged %s: nothing was taken for %s", over(never_predicted), list_names(never_predicted)
        )
