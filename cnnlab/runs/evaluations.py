"""What `cnnlab eval` has left in a run, and whether it still is of the run's model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.runs.files import digest
from cnnlab.runs.run import Run


@dataclass(frozen=True)
class Evaluation:
    """A folder below RUN/eval that is complete.

    Attributes:
        folder: where metrics.json lies, and what belongs to it.
        figures: the content of metrics.json.
        is_outdated: whether it is of an earlier model than RUN/model.keras, which changes where a resumed run finds a
            better one. Where that file is gone, there is no other model that it could be of.
    """

    folder: Path
    figures: dict[str, Any]
    is_outdated: bool


def read_evaluations(run: Run) -> list[Evaluation]:
    """The evaluations of a run, sorted by the names of their folders."""
    files = sorted((run.path / "eval").glob("*/metrics.json"))
    model = digest(run.best_model) if files and run.best_model.is_file() else None
    found = ((file.parent, json.loads(file.read_text("utf-8"))) for file in files)
    return [
        Evaluation(folder, figures, model is not None and figures.get("model_sha256") != model)
        for folder, figures in found
    ]
