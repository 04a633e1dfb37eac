"""report.html: what a run did, on one page that needs nothing but itself."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from omegaconf import OmegaConf

from cnnlab.reporting.describe import UNDEFINED, describe
from cnnlab.reporting.page import figure, style, table
from cnnlab.reporting.words import first_few, reasons
from cnnlab.runs.files import write_atomically
from cnnlab.runs.run import Run

_HEADLINES = {"best", "status", "error", "started", "ended", "class_names", "data"}  # shown elsewhere on the page
_INTERNAL = {"fingerprints"}  # of no use to people


def write_report(run: Run) -> None:
    """Write RUN/report.html: results, curves, evaluations, looks inside, configuration, environment.

    The page has no external resources: styles are inline, figures are embedded. What a run does not have (yet)
    is left out.

    Args:
        run: an open run; its evaluations and plots are read from its directory.
    """
    evaluations = _evaluations(run)
    page = Template(files("cnnlab.reporting").joinpath("run_page.html").read_text("utf-8")).substitute(
        style=style(),
        title=escape(str(run.config.name)),
        subtitle=escape(_subtitle(run)),
        error=f'<p class="error">{escape(run.status.reason)}</p>' if run.status.reason else "",
        tiles="".join(_tile(*tile) for tile in _tiles(run, evaluations)),
        data=_data(run),
        training=_training(run),
        evaluations="".join(_evaluation(folder, figures) for folder, figures in evaluations.items()),
        inside="".join(_inside(run.path / "visualize")),
        configuration=escape(OmegaConf.to_yaml(run.config)),
        environment=table(_flat({key: value for key, value in run.record.items() if key != "config"})),
    )
    with write_atomically(run.path / "report.html") as temporary:
        temporary.write_text(page, "utf-8")


def _evaluations(run: Run) -> dict[Path, dict[str, Any]]:
    """The folders below RUN/eval that are complete, and the figures in each."""
    found = sorted((run.path / "eval").glob("*/metrics.json"))
    return {path.parent: json.loads(path.read_text("utf-8")) for path in found}


def _subtitle(run: Run) -> str:
    parts = [run.status.name, run.record.get("started"), str(run.path)]
    return " · ".join(part for part in parts if part)


def _tiles(run: Run, evaluations: Mapping[Path, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The headline results: value and caption of each."""
    for folder, figures in evaluations.items():
        yield f"{figures['accuracy']:.2%}", f"accuracy, {folder.name}"
    best = run.record.get("best")
    if best and best["monitor"]:
        form = ".4f" if best["monitor"].endswith("loss") else ".2%"
        yield f"{best['value']:{form}}", f"best {best['monitor']}, epoch {best['epoch']}"
    history = run.history()
    if history:
        yield f"{history[-1]['epoch']}", "epochs trained"
        yield _duration(sum(row["seconds"] or 0 for row in history)), "training time"
        if speed := history[-1].get("images_per_second"):
            yield f"{speed:,.0f}", "images per second"
    if parameters := run.record.get("total_params"):
        yield f"{parameters:,}", "parameters"
    if precision := run.record.get("precision"):
        yield precision, "precision"


def _tile(value: str, caption: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(caption)}</span></div>'


def _data(run: Run) -> str:
    """What each split consists of, and what was left out."""
    summaries = run.record.get("data")
    if not summaries:
        return ""
    rows = [("", "images", "classes", "smallest class", "largest class", "classes without an image", "skipped files")]
    for name, figures in summaries.items():
        extremes = [f"{count:,} ({label})" for label, count in (figures["smallest"], figures["largest"])]
        missing, skipped = first_few(figures["missing"]), reasons(figures["skipped"])
        rows.append((name, f"{figures['images']:,}", f"{figures['classes']:,}", *extremes, missing, skipped))
    return f'<section><h2>Data</h2><div class="wide">{table(rows, header=True)}</div></section>'


def _training(run: Run) -> str:
    plots = sorted(run.plots.glob("*.png"))
    if not plots:
        return ""
    return f"<section><h2>Training</h2>{''.join(figure(path) for path in plots)}</section>"


def _evaluation(folder: Path, figures: Mapping[str, Any]) -> str:
    pictures = sorted(folder.glob("*.png"), key=lambda path: (path.stem != "confusion_matrix", path.name))
    rows = [("", "value", "95 % interval"), *describe(figures)]
    data = f'<p class="muted">{escape(figures["root"])}</p>' if figures.get("changed") and figures.get("root") else ""
    return (
        f"<section><h2>Evaluation: {escape(folder.name)}</h2>{data}"
        f'<div class="wide">{table(rows, header=True)}</div>'
        f'<div class="figures">{"".join(figure(path) for path in pictures)}</div>'
        f"{_per_class(folder / 'per_class.csv')}</section>"
    )


def _inside(folder: Path) -> Iterator[str]:
    """A section for each method of `cnnlab visualize` that has drawn something."""
    for method in sorted(path for path in folder.glob("[!.]*") if path.is_dir()):
        pictures = sorted(method.glob("*.png"), key=lambda path: _natural(path.stem))
        if pictures:
            figures = "".join(figure(path) for path in pictures)
            title = f"Look inside: {escape(method.name.replace('_', ' '))}"
            yield f'<section><h2>{title}</h2><div class="figures">{figures}</div></section>'


def _natural(name: str) -> list[str | int]:
    """A key that sorts conv2 before conv10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _per_class(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    shown = [[name, *(_share(share) for share in shares), support] for name, *shares, support in rows]
    rows_shown = table([header, *shown], header=True)
    return f'<details><summary>Per class</summary><div class="wide">{rows_shown}</div></details>'


def _share(text: str) -> str:
    return f"{float(text):.2%}" if text else UNDEFINED


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """run.json as rows of a table, nested keys joined."""
    for key, value in record.items():
        if prefix == "" and key in _HEADLINES | _INTERNAL:
            continue
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value, 1):
                yield from _flat(item, f"{name} {number}: ")
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        elif value is not None:
            yield name, str(value)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
