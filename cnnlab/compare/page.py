"""report.html of a comparison: verdicts, tables and figures on one page that needs nothing but itself."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from cnnlab.compare.collect import Comparison, Entry
from cnnlab.compare.metrics import format_metric, is_metric
from cnnlab.reporting.page import figure, style, table
from cnnlab.runs.files import write_atomically

_TEMPLATES = Environment(loader=PackageLoader("cnnlab.compare", ""), autoescape=True, undefined=StrictUndefined)
_SHOWN_RATHER = ("best_val_accuracy", "final_val_accuracy", "best_val_loss", "final_val_loss")
_SHOWN_ELSE = ("best_accuracy", "final_accuracy", "best_loss", "final_loss")


def write_page(
    folder: Path,
    comparison: Comparison,
    runs: pd.DataFrame,
    summary: Sequence[Sequence[str]],
    metric: str,
    verdicts: Sequence[str],
    method: Sequence[str],
    notes: Sequence[str],
    figures: Sequence[Path],
    differences: pd.DataFrame | None,
) -> None:
    """Write FOLDER/report.html.

    Args:
        folder: of the comparison.
        comparison: what is compared.
        runs: see `tables.runs_table`.
        summary: of the metric, see `tables.shown_summary`.
        metric: by which the configurations are compared.
        verdicts: sentences.
        method: how they were reached, and what the intervals are of.
        notes: on what counts, and what else the runs differ in.
        figures: PNGs, in the order they are shown.
        differences: of exactly two runs, see `pairs.what_differs`.
    """
    columns = _columns(comparison, runs, metric)
    page = _TEMPLATES.get_template("page.html").render(
        style=style(),
        comparison=comparison,
        done=len(comparison.entries) - len(comparison.unfinished),
        folder=comparison.folder or folder,
        verdicts=verdicts,
        method=method,
        notes=notes,
        metric=metric,
        summary=table(summary, header=True),
        differences=None if differences is None else table(_rows(differences), header=True),
        figures=[figure(path) for path in figures],
        columns=columns,
        runs=[
            (_link(entry, folder), [_cell(name, row[name]) for name in columns])
            for entry, row in zip(comparison.entries, runs.to_dict("records"), strict=True)
        ],
    )
    with write_atomically(folder / "report.html") as temporary:
        temporary.write_text(page, "utf-8")


def _columns(comparison: Comparison, runs: pd.DataFrame, metric: str) -> list[str]:
    """What is shown of the runs: metrics of the validation split, where there is one; reasons, where there are some."""
    usual = [name for name in _SHOWN_RATHER if runs[name].notna().any()] or _SHOWN_ELSE
    fold = ["fold"] if runs["fold"].notna().any() else []
    columns = [
        "run",
        *comparison.keys,
        "seed",
        *fold,
        "status",
        metric,
        *usual,
        "epochs",
        "seconds",
        "images_per_second",
    ]
    return list(dict.fromkeys([*columns, *(["reason"] if runs["reason"].notna().any() else [])]))


def _link(entry: Entry, folder: Path) -> str:
    """To the page of a run, or to its folder where it has none."""
    page = entry.path / "report.html"
    return quote(os.path.relpath(page if page.exists() else entry.path, folder))


def _cell(name: str, value: Any) -> dict[str, Any]:
    """A cell of the table of runs: its text, what it is sorted by, and whether that is a number."""
    if value is None or pd.isna(value):
        return {"text": "", "value": "", "number": False}
    if isinstance(value, float):
        text = format_metric(value, name) if is_metric(name) else f"{value:,.0f}"
        return {"text": text, "value": f"{value:.17g}", "number": True}
    return {"text": str(value), "value": str(value), "number": isinstance(value, int)}


def _rows(differences: pd.DataFrame) -> Iterator[Sequence[str]]:
    """In what two runs differ, the metrics among it as everywhere on the page."""
    yield tuple(differences.columns)
    for kind, key, *texts in differences.itertuples(index=False):
        yield kind, key, *(format_metric(float(text), key) if text and is_metric(key) else text for text in texts)
