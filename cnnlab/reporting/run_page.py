"""report.html: what a run did, on one page that needs nothing but itself."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from omegaconf import OmegaConf

from cnnlab.config.options import read_option
from cnnlab.config.scoring import NO_SCORES
from cnnlab.errors import UserError
from cnnlab.reporting.describe import UNDEFINED, describe, score_format
from cnnlab.reporting.exports import describe_exports
from cnnlab.reporting.page import drawn_model, figure, render, table
from cnnlab.reporting.words import first_few, reasons
from cnnlab.runs.evaluations import Evaluation, read_evaluations
from cnnlab.runs.files import digest, write_atomically
from cnnlab.runs.run import Run

_HEADLINES = {"best", "status", "error", "started", "ended", "class_names", "data"}  # shown elsewhere on the page
_INTERNAL = {"fingerprints", "left_to_data"}  # of no use to people
_FIGURES = "[!.]*.png"  # what is being written, or was when its process was killed, begins with a dot
_EMBEDDED = 3 * 2**20  # bytes of figures in a page, the smallest first; further ones are linked
_WRONG = 20  # rows of wrong predictions
_FEW_EPOCHS = 20  # of which the table is shown unfolded
_CAPTIONS = {
    "curves": "Loss and accuracy of each epoch on training and validation images; the dashed line marks the best epoch",
    "confusion_matrix": "How many images of each class, by row, were taken for each class, by column",
    "calibration": "Accuracy against confidence: on the diagonal, the model is as often right as it says",
    "mistakes": "The images that the model got wrong while most sure of itself",
}


class Draw(Protocol):
    """From a PNG, and what it shows, to its figure on the page."""

    def __call__(self, path: Path, alt: str = "") -> str: ...


@dataclass(frozen=True)
class Section:
    """A part of the page, with its entry in the contents; `table`, `figures` and what unfolds (`details`) are HTML."""

    title: str
    description: str = ""
    table: str = ""
    figures: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    is_open: bool = False
    text: str = ""

    @property
    def id(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower())


def write_report(run: Run) -> None:
    """Write RUN/report.html: results, curves, evaluations, looks inside, configuration, environment.

    The page has no external resources: styles are inline, figures are embedded, but for the largest where they are
    more than a few MB together; these are linked. What a run does not have (yet) is left out.

    Args:
        run: an open run; its evaluations and plots are read from its directory.
    """
    evaluations, draw = read_evaluations(run), _drawing(run.path)
    environment = _flat({key: value for key, value in run.record.items() if key != "config"})
    page = render(
        "run_page.html",
        title=str(run.config.name),
        subtitle=_subtitle(run),
        error=run.status.reason,
        tiles=list(_tiles(run, evaluations)),
        sections=[
            *_data(run),
            *_training(run, draw),
            *(_evaluation(evaluation, draw) for evaluation in evaluations),
            *_exports(run),
            *_inside(run, draw),
            Section("Configuration", text=OmegaConf.to_yaml(run.config)),
            Section("Environment", table=table(environment)),
        ],
    )
    with write_atomically(run.path / "report.html") as temporary:
        temporary.write_text(page, "utf-8")


def _drawing(run: Path) -> Draw:
    """A function that draws the figures of a run, embedded as far as `_EMBEDDED` goes."""
    folders = [run / "plots", *run.glob("eval/[!.]*"), *run.glob("visualize/[!.]*")]
    figures = (path for folder in folders for path in folder.glob(_FIGURES))
    paths = sorted(figures, key=lambda path: path.stat().st_size)
    sizes = accumulate(path.stat().st_size for path in paths)
    linked = {path for path, size in zip(paths, sizes, strict=True) if size > _EMBEDDED}

    def draw(path: Path, alt: str = "") -> str:
        link = quote(str(path.relative_to(run))) if path in linked else None
        return figure(path, _CAPTIONS.get(path.stem, ""), alt, link)

    return draw


def _subtitle(run: Run) -> str:
    parts = [run.status.name, run.record.get("started"), str(run.path)]
    return " · ".join(part for part in parts if part)


def _tiles(run: Run, evaluations: Sequence[Evaluation]) -> Iterator[tuple[str, str]]:
    """The headline results: value and caption of each."""
    for each in evaluations:
        which = " (of an earlier model)" if each.is_outdated else ""
        yield f"{each.figures['accuracy']:.2%}", f"accuracy, {each.folder.name}{which}"
    best = run.record.get("best")
    if best and best["monitor"]:
        yield f"{best['value']:{score_format(best['monitor'])}}", f"best {best['monitor']}, epoch {best['epoch']}"
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


def _data(run: Run) -> Iterator[Section]:
    """What each split consists of, and what was left out."""
    rows = [("", "images", "classes", "smallest class", "largest class", "classes without an image", "skipped files")]
    for name, figures in (run.record.get("data") or {}).items():
        extremes = [f"{count:,} ({label})" for label, count in (figures["smallest"], figures["largest"])]
        missing, skipped = first_few(figures["missing"]), reasons(figures["skipped"])
        rows.append((name, f"{figures['images']:,}", f"{figures['classes']:,}", *extremes, missing, skipped))
    if len(rows) > 1:
        yield Section("Data", table=table(rows, header=True))


def _training(run: Run, draw: Draw) -> Iterator[Section]:
    """The plots, and the rows of metrics.csv."""
    plots, history = sorted(run.plots.glob(_FIGURES)), run.history()
    if plots or history:
        header = [name.replace("_", " ") for name in history[0]] if history else []
        rows = [[_measured(name, value) for name, value in row.items()] for row in history]
        epochs = {"Epochs": table([header, *rows], header=True)} if rows else {}
        yield Section("Training", figures=[*map(draw, plots)], details=epochs, is_open=len(rows) <= _FEW_EPOCHS)


def _measured(name: str, value: float | None) -> str:
    """A number of metrics.csv, as people read it."""
    if value is None:
        return UNDEFINED
    form = ".4g" if name in NO_SCORES else score_format(name)
    return f"{value:,}" if isinstance(value, int) else f"{value:{form}}"


def _evaluation(evaluation: Evaluation, draw: Draw) -> Section:
    folder, figures = evaluation.folder, evaluation.figures
    data = [figures["root"]] if figures.get("changed") and figures.get("root") else []
    earlier = ["of an earlier model than model.keras is now: evaluate again"] if evaluation.is_outdated else []
    pictures = sorted(folder.glob(_FIGURES), key=lambda path: (path.stem != "confusion_matrix", path.name))
    return Section(
        f"Evaluation: {folder.name}",
        description=" · ".join([*data, *earlier]),
        table=table([("", "value", "95 % interval"), *describe(figures)], header=True),
        figures=[draw(path) for path in pictures],
        details={**_per_class(folder / "per_class.csv"), **_wrong_predictions(folder / "predictions.csv")},
    )


def _exports(run: Run) -> Iterator[Section]:
    """Exported files beside Keras."""
    path = run.path / "export" / "report.json"
    if path.exists():
        reports = list(json.loads(path.read_text("utf-8")).values())
        threads = first_few(sorted({f"{report['threads']}" for report in reports}))
        model = digest(run.best_model) if run.best_model.is_file() else None
        earlier = [f"{each['format']} {each['precision']}" for each in reports if model != each["model_sha256"]]
        told = f". Of an earlier model than model.keras is now: {', '.join(earlier)}; export again"
        yield Section(
            "Exported files",
            description="Probabilities beside those of Keras in float32: the largest difference of any image and the "
            f"mean over the images of each one's largest; median times of a call on the processor, threads: {threads}"
            + (told if model and earlier else ""),
            table=table(describe_exports(reports), header=True),
        )


def _inside(run: Run, draw: Draw) -> Iterator[Section]:
    """A section for each method of `cnnlab visualize` that has drawn something."""
    methods = sorted(path for path in (run.path / "visualize").glob("[!.]*") if path.is_dir())
    model = digest(run.best_model) if methods and run.best_model.is_file() else None
    for method in methods:
        pictures = sorted(method.glob(_FIGURES), key=lambda path: _natural(path.stem))
        if pictures:
            described = _description(method.name)
            title = f"Look inside: {method.name.replace('_', ' ')}"
            outdated = model is not None and not {*map(drawn_model, pictures)} <= {model, None}
            earlier = ["of an earlier model than model.keras is now: draw again"] if outdated else []
            description = " · ".join(filter(None, [described, *earlier]))
            yield Section(title, description=description, figures=[draw(path, described) for path in pictures])


def _description(name: str) -> str:
    """What a method shows, from its YAML; of figures with a name of their own nothing is known."""
    try:
        return " ".join(read_option(re.sub(r"-\d+$", "", name), "method").description)
    except (UserError, OSError):
        return ""


def _natural(name: str) -> list[str | int]:
    """A key that sorts conv2 before conv10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _per_class(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    shown = [[name, *map(_share, shares), support] for name, *shares, support in rows]
    return {"Per class": table([header, *shown], header=True)}


def _wrong_predictions(path: Path) -> dict[str, str]:
    """The images that were taken for another class, the most confident predictions first."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["true"] != row["predicted"]]
    rows.sort(key=lambda row: -float(row["confidence"]))
    if not rows:
        return {}
    header = ["image", "true", "predicted", "confidence"]
    shown = [
        [row.get("file", row["index"]), row["true"], row["predicted"], _share(row["confidence"])]
        for row in rows[:_WRONG]
    ]
    title = f"Wrong predictions, the {len(shown)} most confident of {len(rows):,}"
    return {title: table([header, *shown], header=True)}


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
