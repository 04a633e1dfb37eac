"""The runs that are compared: the cells of sweeps, or any runs, with what tells them apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cnnlab.config.flat import flat
from cnnlab.config.types import shown
from cnnlab.errors import UserError
from cnnlab.runs.run import Run
from cnnlab.sweeps.ledger import Ledger

IGNORED = ("name", "seed", "seeds.", "trainer.progress", "trainer.devices", "trainer.threads", "trainer.strategy")
"""Keys in which runs may differ without being another arm."""

PATHS = ("dataset.root", "weights", "model.weights", "resume", "targets")


@dataclass(frozen=True)
class Entry:
    """One run, or a cell that never became one.

    Attributes:
        path: of its folder.
        arm: its values for all swept keys but the seed, as one label.
        seed: None where the sweep has none and there is no run.
        values: for each swept key but the seed.
        status: pending, running, done, interrupted, failed, diverged or unknown.
        reason: why it is not done.
        run: None where it has not begun.
    """

    path: Path
    arm: str
    seed: int | None
    values: dict[str, str]
    status: str
    reason: str | None
    run: Run | None


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        name: of the sweep, or of the runs' common folder.
        keys: the swept ones but the seed.
        entries: the runs.
        command: that made the sweep; None for runs that were trained one by one.
        folder: of the sweep; None for such runs.
    """

    name: str
    keys: list[str]
    entries: list[Entry]
    command: str | None
    folder: Path | None

    @property
    def unfinished(self) -> list[Entry]:
        """What does not count."""
        return [entry for entry in self.entries if entry.status != "done"]

    def of_arm(self, arm: str, status: str) -> list[Entry]:
        """The runs of an arm that have come to a status and have measured something."""
        chosen = [entry for entry in self.entries if (entry.arm, entry.status) == (arm, status)]
        return [entry for entry in chosen if entry.run and (entry.path / "steps.csv").exists()]

    @property
    def arms(self) -> list[str]:
        """In order of appearance."""
        return list(dict.fromkeys(entry.arm for entry in self.entries))


def collect(runs: Sequence[str]) -> Comparison:
    """Find what is to be compared.

    Args:
        runs: folders of sweeps or of runs, or quoted globs of these.

    Raises:
        UserError: there is nothing there, or a folder is neither.
    """
    folders = [folder for pattern in runs for folder in _folders(pattern)]
    if not folders:
        raise UserError("runs=[]: give a sweep's folder, or runs")
    sweeps = [folder for folder in folders if (folder / "sweep.json").exists()]
    if len(sweeps) == len(folders) == 1:
        return _of_sweep(Ledger.open(folders[0]))
    found: list[Run] = []
    for folder in folders:
        if folder in sweeps:
            cells = (folder / name for name in Ledger.open(folder).entries)
            found += [Run.open(cell) for cell in cells if (cell / "run.json").exists()]
        else:
            found.append(Run.open(folder))
    return _of_runs(found)


def _folders(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser().absolute()
    if path.exists():
        sweeps = sorted(ledger.parent.name for ledger in path.glob("*/sweep.json"))
        if sweeps:
            raise UserError(f"runs={pattern}: holds sweeps; give one of them: {', '.join(sweeps)}")
        return [path]
    matches = sorted(match for match in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if match.is_dir())
    if not matches:
        raise UserError(f"runs={pattern}: no such folder; give a sweep's folder, or runs")
    return matches


def _of_sweep(ledger: Ledger) -> Comparison:
    ledger.refresh()
    keys = [key for key in ledger.keys if key != "seed"]
    entries = []
    for name, entry in ledger.entries.items():
        path = ledger.directory / name
        run = Run.open(path) if (path / "run.json").exists() else None
        values = {key: entry.values.get(key, "") for key in keys}
        seed = int(run.config.seed) if run else _number(entry.values.get("seed"))
        entries.append(Entry(path, arm_label(values), seed, values, entry.state, entry.reason, run))
    return Comparison(ledger.directory.name, keys, entries, ledger.command, ledger.directory)


def _of_runs(runs: Sequence[Run]) -> Comparison:
    configs = [_settings(run) for run in runs]
    keys = [key for key in _union(configs) if len({shown(config.get(key)) for config in configs}) > 1]
    keys = [key for key in keys if not _follows(key, keys)]
    entries = []
    names = run_names(*runs) if len(runs) == 2 else [None] * len(runs)
    for run, config, name in zip(runs, configs, names, strict=True):
        values = {key.removesuffix(".name"): str(config.get(key)) for key in keys}
        status = {"completed": "done"}.get(run.status.name, run.status.name)
        arm, seed = name or arm_label(values), int(run.config.seed)
        entries.append(Entry(run.path, arm, seed, values, status, run.status.reason, run))
    parents = {run.path.parent.name for run in runs}
    name = parents.pop() if len(parents) == 1 else "runs"
    return Comparison(name, [key.removesuffix(".name") for key in keys], entries, None, None)


def arm_label(values: dict[str, str]) -> str:
    """What an arm is called; an arm that has a name is called by it."""
    if set(values) == {"arm"}:
        return values["arm"]
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "all"


def run_names(first: Run, second: Run) -> tuple[str, str]:
    """The shortest ends of their paths that tell two runs apart."""
    parts = [run.path.parts for run in (first, second)]
    length = next((n for n in range(1, max(map(len, parts))) if parts[0][-n:] != parts[1][-n:]), 1)
    return tuple("/".join(part[-length:]) for part in parts)


def _settings(run: Run) -> dict[str, Any]:
    settings = flat(OmegaConf.to_container(run.config, resolve=True))
    return {key: value for key, value in settings.items() if not key.startswith(IGNORED) and key not in PATHS}


def _union(configs: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for config in configs for key in config))


def _follows(key: str, keys: Sequence[str]) -> bool:
    """Whether a key differs only because its group's option does, whose name says it."""
    group = key.partition(".")[0]
    return f"{group}.name" in keys and key != f"{group}.name"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
