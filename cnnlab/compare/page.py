"""report.html of a comparison: verdicts, tables and figures on one page that needs nothing but itself."""

import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import quote

import pandas as pd

from cnnlab.compare.collect import Comparison
from cnnlab.compare.tables import METRICS
from cnnlab.reporting.page import figure, style, table
from cnnlab.runs.files import write_atomically

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
        metric: what is judged.
        verdicts: sentences.
        method: how they were reached, and what the intervals are of.
        notes: on what counts, and what else the runs differ in.
        figures: PNGs, in the order they are shown.
        differences: of exactly two runs, see `pairs.what_differs`.
    """
    done = len(comparison.entries) - len(comparison.unfinished)
    page = Template(files("cnnlab.compare").joinpath("page.html").read_text("utf-8")).substitute(
        style=style(),
        title=escape(f"{comparison.name}: {len(comparison.arms)} configurations compared"),
        subtitle=escape(f"{done} of {len(comparison.entries)} runs are done · {comparison.folder or folder}"),
        verdicts=_items(verdicts),
        metric=escape(metric),
        summary=table(summary, header=True),
        method="".join(f'<p class="muted">{escape(line)}</p>' for line in method),
        differences=_differences(differences),
        figures="".join(figure(path) for path in figures),
        runs=_runs(folder, comparison, runs, metric),
        notes=f"<section><h2>To be kept in mind</h2><ul>{_items(notes)}</ul></section>" if notes else "",
        command=_command(comparison.command),
    )
    with write_atomically(folder / "report.html") as temporary:
        temporary.write_text(page, "utf-8")


def _items(lines: Sequence[str]) -> str:
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _differences(differences: pd.DataFrame | None) -> str:
    if differences is None:
        return ""
    rows = [tuple(differences.columns), *differences.itertuples(index=False)]
    return f'<section><h2>What differs</h2><div class="wide">{table(rows, header=True)}</div></section>'


def _command(command: str | None) -> str:
    return f'<section><h2>Command</h2><pre class="command">{escape(command)}</pre></section>' if command else ""


def _runs(folder: Path, comparison: Comparison, runs: pd.DataFrame, metric: str) -> str:
    """A row per run, its name a link to its own page, or to its folder where it has none."""
    usual = [name for name in _SHOWN_RATHER if runs[name].notna().any()] or _SHOWN_ELSE
    measured = [*dict.fromkeys([metric, *usual])]
    columns = ["run", *comparison.keys, "seed", "status", *measured, "epochs", "seconds", "images_per_second", "reason"]
    heads = "".join(f'<th scope="col"><button>{escape(name.replace("_", " "))}</button></th>' for name in columns)
    rows = []
    for entry, row in zip(comparison.entries, runs.to_dict("records"), strict=True):
        page = entry.path / "report.html"
        target = quote(os.path.relpath(page if page.exists() else entry.path, folder))
        cells = [f'<td data-value="{escape(row["run"])}"><a href="{target}">{escape(row["run"])}</a></td>']
        cells += [_cell(name, row[name]) for name in columns[1:]]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(name: str, value: object) -> str:
    if value is None or pd.isna(value):
        return '<td data-value=""></td>'
    if isinstance(value, float):
        text = f"{value:.4f}" if name in METRICS else f"{value:,.0f}"
        return f'<td class="number" data-value="{value:.17g}">{text}</td>'
    number = ' class="number"' if isinstance(value, int) else ""
    return f'<td{number} data-value="{escape(str(value))}">{escape(str(value))}</td>'
