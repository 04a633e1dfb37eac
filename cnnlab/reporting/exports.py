"""Exported files in words, for the terminal and the page of a run."""

from collections.abc import Sequence
from typing import Any


def describe_exports(reports: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """A table of exports as text, its heads first.

    Args:
        reports: what RUN/export/report.json says of each.
    """
    heads = ("export", "size", "largest difference", "mean", "same class", "images")
    batches = [f"batch {batch}: ms (Keras)" for batch in (1, 32)]
    return [(*heads, *batches), *map(_row, reports)]


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    times = [f"{each['exported']:.3g} ({each['keras']:.3g})" for each in report["milliseconds"].values()]
    return (
        f"{report['format']} {report['precision']}",
        f"{report['bytes'] / 1000:,.1f} kB",
        f"{report['largest_difference']:.1e}",
        f"{report['mean_difference']:.1e}",
        f"{report['equal_predictions']:.1%}",
        f"{report['images']:,} {report['split']}",
        *times,
    )
