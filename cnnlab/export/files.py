"""Where exported files lie in a run, and RUN/export/report.json, which says what they are."""

import json
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cnnlab.errors import UserError
from cnnlab.runs.files import digest, write_json
from cnnlab.runs.run import Run

Function = Callable[[np.ndarray], np.ndarray]
"""From uint8 images (n, H, W, C) to float32 probabilities (n, K) or (n, 1)."""

_NAMES = {"saved_model": "1", "onnx": "model.{precision}.onnx", "litert": "model.{precision}.tflite"}
"""In RUN/export/FORMAT/; TensorFlow Serving takes a folder of numbered versions."""


def writer(format: str) -> ModuleType:
    """The module with `write` and `load` of a format, whose packages may be those of an extra."""
    return import_module(f"cnnlab.export.{format}")


def exported_path(run: Run, format: str, precision: str) -> Path:
    return run.path / "export" / format / _NAMES[format].format(precision=precision)


def size(path: Path) -> int:
    """In bytes, of a file or of all files in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def read_reports(run: Run) -> dict[str, dict[str, Any]]:
    """What RUN/export/report.json says of each export, by "FORMAT/PRECISION".

    Raises:
        UserError: it cannot be read.
    """
    file = run.path / "export" / "report.json"
    try:
        return json.loads(file.read_text("utf-8")) if file.exists() else {}
    except ValueError as error:
        raise UserError(f"{file}: cannot be read ({error}); remove it and export anew") from error


def add_report(run: Run, report: dict[str, Any]) -> None:
    """Put what is known of one export into RUN/export/report.json."""
    reports = read_reports(run) | {f"{report['format']}/{report['precision']}": report}
    write_json(run.path / "export" / "report.json", dict(sorted(reports.items())))


def find_export(run: Run, backend: str) -> tuple[Path, dict[str, Any]]:
    """An exported file that is whole and is the run's best model, and what report.json says of it.

    Args:
        run: the run.
        backend: FORMAT or FORMAT/PRECISION.

    Raises:
        UserError: there is none, it is damaged, or the run's best model is another by now.
    """
    format, _, precision = backend.partition("/")
    precision = precision or "float32"
    path, report = exported_path(run, format, precision), read_reports(run).get(f"{format}/{precision}")
    anew = f"cnnlab export run={shlex.quote(str(run.path))} format={format} precision={precision}"
    if report is None or not path.exists():
        raise UserError(f"backend={backend}: {path} is not there, or not whole; make it with {anew}")
    if digest(path) != report["sha256"]:
        raise UserError(f"backend={backend}: {path} is damaged or was changed since; make it anew with {anew}")
    if not run.best_model.is_file() or digest(run.best_model) != report["model_sha256"]:
        raise UserError(f"backend={backend}: {path} is of another model than {run.best_model} now; {anew}")
    return path, report
