"""A run directory as an object: everything that reads or writes one goes through here."""

import csv
import json
import logging
import platform
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from cnnlab.errors import Diverged, Interrupted, UserError, one_line
from cnnlab.runs.files import remove_leftovers, write_atomically, write_json
from cnnlab.runs.status import Status, status_of

log = logging.getLogger(__name__)

FORMAT = 3
"""Of a run directory; larger where an older one can no longer be read."""

WRITTEN = (
    *("model.keras", "last.keras", "checkpoints", "plots"),
    *("metrics.csv", "steps.csv", "files.csv", "skipped_files.csv", "report.html"),
)
"""What a training writes beside run.json and, just before that, config.yaml."""


class Run:
    """A run directory: its paths, its configuration and its record (run.json).

    Attributes:
        path: the directory.
        config: RUN/config.yaml, resolved.
        record: RUN/run.json.
    """

    def __init__(self, path: Path, config: DictConfig, record: dict[str, Any]):
        self.path = path
        self.config = config
        self.record = record

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """Open an existing run.

        Raises:
            UserError: `path` is missing, is no run, its run.json cannot be read, or an earlier cnnlab wrote it.
        """
        path = Path(path).expanduser().absolute()
        if not (path / "run.json").is_file():
            raise UserError(f"{path}: {_why_no_run(path)}")
        try:
            record = json.loads((path / "run.json").read_text())
            config = OmegaConf.load(path / "config.yaml")
            if not isinstance(record, dict) or not isinstance(config, DictConfig):
                raise ValueError("a list, not keys with values")
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"{path}: its run.json or config.yaml cannot be read ({one_line(error)})") from error
        _require_readable(path, record)
        return cls(path, config, record)

    @classmethod
    def create(cls, path: Path, config: DictConfig, left_to_data: Sequence[str] = ()) -> "Run":
        """A new run in `path`, which may exist but must hold no run yet. Nothing is written before `begin`.

        Args:
            path: of the run.
            config: resolved.
            left_to_data: keys whose values are not what was asked for but what the data made of it.

        Raises:
            UserError: `path` already holds a run, or something else that a run would write over.
        """
        path = path.absolute()
        if (path / "run.json").exists():
            hint = f"resume it with `cnnlab train resume={shlex.quote(str(path))}`, or choose another hydra.run.dir"
            raise UserError(f"{path}: holds a run already; {hint}")
        in_the_way = [name for name in WRITTEN if (path / name).exists()]
        own = path / "config.yaml"  # unless a run was killed that had got no further
        if own.exists() and own.read_text("utf-8", "replace") != OmegaConf.to_yaml(config):
            in_the_way.append(own.name)
        if in_the_way:
            raise UserError(
                f"{path / in_the_way[0]}: is no run's, and a training would write over it; choose another hydra.run.dir"
            )
        return cls(path, config, {"left_to_data": [*left_to_data]})

    def begin(self) -> None:
        """Write config.yaml and run.json: from now on the run is there, and running."""
        from cnnlab.runs.provenance import differing_code, provenance  # not sooner: it reads the metadata of packages

        for folder in (self.path, self.checkpoints, self.plots) if "earlier_sessions" in self.record else ():
            remove_leftovers(folder)
        origin = provenance()
        if changed := differing_code(self.record, origin):
            log.warning(
                "%s is resumed with other code (%s): results may differ from an unbroken training", self.path, changed
            )
        with write_atomically(self.path / "config.yaml") as temporary:
            temporary.write_text(OmegaConf.to_yaml(self.config), "utf-8")
        times = {"status": "running", "started": _now(), "ended": None, "error": None}
        self.update(format=FORMAT, **origin, **times, config=OmegaConf.to_container(self.config))

    def update(self, **fields: Any) -> None:
        """Merge `fields` into run.json and rewrite it atomically."""
        self.record |= fields
        write_json(self.path / "run.json", self.record)

    @property
    def status(self) -> Status:
        """How the run stands now; its record alone says `running` of a process that was killed."""
        return status_of(self.path, self.record)

    def resume(self, config: DictConfig) -> None:
        """Prepare to resume this run under `config`, which may differ in what resuming allows.

        Where its record says that it runs on another host, that is told: not all file systems share their locks.
        """
        earlier = {key: self.record.get(key) for key in ("command", "commit", "versions", "started", "ended", "status")}
        if earlier["status"] == "running":  # the lock is ours by now
            earlier["status"] = "interrupted"
            host = (self.record.get("host") or {}).get("name")
            if host not in (None, platform.node()):
                log.warning(
                    "%s was running on %s when it was last heard of: make sure that it is no more, or both write it",
                    self.path, host,
                )  # fmt: skip
        self.record["earlier_sessions"] = [*self.record.get("earlier_sessions", []), earlier]
        self.config = config

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Begin, and record how the block ends; a full disk does not hide the error that ended it."""
        self.begin()
        try:
            yield
        except BaseException as error:
            with suppress(OSError):
                self.finish(_status_of(error), " ".join(f"{type(error).__name__}: {error}".split()))
            raise
        self.finish("completed")

    def finish(self, status: str, error: str | None = None) -> None:
        """Record how the run ended: completed, interrupted, diverged or failed."""
        self.update(status=status, error=error, ended=_now())

    def history(self) -> list[dict[str, float | int | None]]:
        """The rows of metrics.csv, one per epoch; a value that was not measured is None."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [{key: _number(text) for key, text in row.items()} for row in csv.DictReader(file)]

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best_model(self) -> Path:
        return self.path / "model.keras"

    @property
    def last_model(self) -> Path:
        return self.path / "last.keras"

    @property
    def plots(self) -> Path:
        return self.path / "plots"


def _number(text: str) -> float | int | None:
    if text == "":
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _status_of(error: BaseException) -> str:
    if isinstance(error, Diverged):
        return "diverged"
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _why_no_run(path: Path) -> str:
    if not path.exists():
        return "no such run directory"
    inside = sorted(path.glob("*/run.json")) + sorted(path.glob("*/*/run.json"))
    if inside:
        return f"is no run itself (no run.json), but holds some; the newest is {_newest(inside)}"
    return "is no run (it has no run.json)"


def _require_readable(path: Path, record: dict[str, Any]) -> None:
    found = record.get("format", 1)
    if found != FORMAT:
        commit = record.get("commit")
        reader = f"the code of commit {commit[:12]}" if commit else "the cnnlab that wrote it"
        raise UserError(f"{path}: is a run of format {found}, this cnnlab reads {FORMAT}; use {reader}, or train anew")


def _newest(records: list[Path]) -> Path:
    return max(records, key=lambda record: record.stat().st_mtime).parent
