"""The runs that are compared: the jobs of sweeps, or any runs, with what tells them apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from cnnlab.compare.metrics import Better, measured_columns
from cnnlab.config.arguments import unquote_path
from cnnlab.config.flat import flat
from cnnlab.config.resolve import derived_seeds
from cnnlab.config.run_config import has_own_data
from cnnlab.errors import UserError
from cnnlab.runs.run import Run
from cnnlab.sweeps.state import Entry as Job
from cnnlab.sweeps.state import SweepState

IGNORED = (
    *("name", "seed", "seeds", "dataset.fold", "logger", "resume", "targets", "trainer.progress"),
    *("trainer.devices", "trainer.threads", "trainer.strategy"),
)
"""Keys in which runs may differ without being another configuration, nor does what is below them count."""

FOLD = "dataset.fold"

Observation = tuple[str, int | str | None, str | None]
"""A configuration, a seed and a fold."""


@dataclass(frozen=True)
class Entry:
    """One run, or a job that never became one.

    Attributes:
        path: of its folder.
        configuration: its values for all swept keys but the seeds and the fold, as one label.
        seed: the number, or where some of `seeds` were set alone, these too: "0, shuffle 5". None where the sweep has
            none and there is no run.
        fold: that validates, such as "0 of 5": folds of other divisions are others. None where there are none.
        values: for each swept key but the seeds and the fold.
        status: pending, running, done, interrupted, failed, diverged or unknown.
        reason: why it is not done, or does not count.
        run: None where it has not begun.
        counts: whether it is done, and the newest run of its configuration, seed and fold: all of them are one
            observation.
    """

    path: Path
    configuration: str
    seed: int | str | None
    fold: str | None
    values: dict[str, str]
    status: str
    reason: str | None
    run: Run | None
    counts: bool = False

    @property
    def observation(self) -> Observation:
        """What runs have in common that are one observation."""
        return self.configuration, self.seed, self.fold


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        name: of the sweep, or of the runs' common folder.
        keys: the swept ones but the seeds and the fold.
        entries: the runs.
        command: that made the sweep; None for runs that were trained one by one.
        folder: of the sweep; None for such runs.
        left_out: what a glob has matched and is no run.
        by_settings: whether a sweep's configurations are called by what its runs differ in, since its jobs are of grids
            whose swept keys do not tell them apart.
    """

    name: str
    keys: list[str]
    entries: list[Entry]
    command: str | None
    folder: Path | None
    left_out: tuple[Path, ...] = ()
    by_settings: bool = False

    @property
    def unfinished(self) -> list[Entry]:
        """What does not count."""
        return [entry for entry in self.entries if entry.status != "done"]

    @cached_property
    def measured(self) -> dict[str, Better | None]:
        """The columns that say how well the runs did, and what counts as better of each."""
        return measured_columns(entry.run for entry in self.entries if entry.run)

    @property
    def over(self) -> str:
        """What the runs of one configuration differ in, in words."""
        seeds = {entry.seed for entry in self.entries}
        if all(entry.fold is None for entry in self.entries):
            return "seeds"
        return "folds of seeds" if len(seeds) > 1 else "folds"

    @property
    def pair(self) -> tuple[Run, Run] | None:
        """The runs, where they are two that were trained one by one."""
        runs = [entry.run for entry in self.entries if entry.run]
        return (runs[0], runs[1]) if self.folder is None and len(runs) == 2 else None

    @property
    def only(self) -> Run | None:
        """The run, where it is one that was trained by itself."""
        return self.entries[0].run if self.folder is None and len(self.entries) == 1 else None

    def of_configuration(self, configuration: str, status: str) -> list[Run]:
        """The runs of a configuration with a status that have measured something; of those done, what counts."""
        chosen = [entry for entry in self.entries if (entry.configuration, entry.status) == (configuration, status)]
        chosen = [entry for entry in chosen if entry.counts or status != "done"]
        return [entry.run for entry in chosen if entry.run and (entry.path / "steps.csv").exists()]

    @property
    def configurations(self) -> list[str]:
        """In order of appearance."""
        return list(dict.fromkeys(entry.configuration for entry in self.entries))


def collect(runs: Sequence[str]) -> Comparison:
    """Find what is to be compared.

    Args:
        runs: folders of sweeps or of runs, or quoted globs of these. A folder that is named twice is one; what a glob
            matches beside runs and sweeps is left out.

    Raises:
        UserError: there is nothing there, or a folder that was named is neither.
    """
    found = {folder.resolve(): (folder, named) for pattern in runs for folder, named in _folders(pattern)}
    if not found:
        raise UserError("runs=[]: give a sweep's folder, or runs")
    sweeps = [folder for folder, _ in found.values() if (folder / "sweep.json").exists()]
    if len(sweeps) == len(found) == 1:
        return _of_sweep(SweepState.open(sweeps[0]))
    opened, left_out = [], []
    for folder, named in found.values():
        if folder in sweeps:
            jobs = (folder / name for name in SweepState.open(folder).entries)
            opened += [job for job in jobs if (job / "run.json").exists()]
        elif named or (folder / "run.json").exists():
            opened.append(folder)
        else:
            left_out.append(folder)
    unique = {folder.resolve(): folder for folder in opened}
    if not unique:
        raise UserError(f"runs={','.join(runs)}: no runs there; give a sweep's folder, or runs")
    return _of_runs([Run.open(folder) for folder in unique.values()], tuple(left_out))


def _folders(pattern: str) -> list[tuple[Path, bool]]:
    """The folders that a pattern stands for, and whether it names them, rather than matching them as a glob."""
    path = Path(pattern).expanduser().absolute()
    if path.exists():
        sweeps = sorted(sweep_state.parent.name for sweep_state in path.glob("*/sweep.json"))
        if sweeps:
            raise UserError(f"runs={pattern}: holds sweeps; give one of them: {', '.join(sweeps)}")
        return [(path, True)]
    literal = next(parent for parent in path.parents if parent.is_dir())  # whose [ ] are no pattern
    matches = sorted(match for match in literal.glob(str(path.relative_to(literal))) if match.is_dir())
    if not matches:
        raise UserError(f"runs={pattern}: no such folder; give a sweep's folder, or runs")
    return [(match, False) for match in matches]


def _of_sweep(sweep_state: SweepState) -> Comparison:
    sweep_state.refresh()
    folder, jobs = sweep_state.directory, sweep_state.entries
    runs = {name: Run.open(folder / name) for name in jobs if (folder / name / "run.json").exists()}
    keys = _configuring(sweep_state.keys)
    values = {name: {key: job.values.get(key, "") for key in keys} for name, job in jobs.items()}
    by_settings = not _tells_apart(keys, jobs, runs)
    if by_settings:
        keys, found = _differing(list(runs.values()))
        values = {name: _asked(job, keys) for name, job in jobs.items()} | dict(zip(runs, found, strict=True))
    entries = []
    for name, job in jobs.items():
        run = runs.get(name)
        seed = seed_of(run) if run else _number(job.values.get("seed"))
        fold = fold_of(run) if run else job.values.get(FOLD)
        label = configuration_label(values[name])
        entries.append(Entry(folder / name, label, seed, fold, values[name], job.state, job.reason, run))
    return Comparison(folder.name, keys, _counted(entries), sweep_state.command, folder, by_settings=by_settings)


def _configuring(keys: Iterable[str]) -> list[str]:
    """Those of the swept keys whose values make another configuration."""
    return [key for key in keys if not _is_below(key, ("seed", "seeds", FOLD))]


def _tells_apart(keys: Sequence[str], jobs: Mapping[str, Job], runs: Mapping[str, Run]) -> bool:
    """Whether jobs that have the same values for these keys are of one configuration.

    They may not be where a sweep was extended: by a grid of other swept keys, or with another value of one that is not
    swept. What a job was given as an interpolation, such as weights=${seed}.keras, is compared as it was given.
    """
    if any(set(_configuring(job.values)) != set(keys) for job in jobs.values()):
        return False
    given = {name: dict(_split(override) for override in job.overrides) for name, job in jobs.items()}
    interpolated = {key for overrides in given.values() for key, value in overrides.items() if "${" in value}
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, run in runs.items():
        settings = {key: value for key, value in _settings(run).items() if not _is_below(key, interpolated)}
        settings |= {key: given[name].get(key) for key in interpolated}
        if seen.setdefault(tuple(jobs[name].values[key] for key in keys), settings) != settings:
            return False
    return True


def _asked(job: Job, keys: Sequence[str]) -> dict[str, str]:
    """What a job that has no run yet was given for keys; "?" where its overrides do not say."""
    given = dict(_split(override) for override in job.overrides) | job.values
    return {key: given.get(key, "?") for key in keys}


def _split(override: str) -> tuple[str, str]:
    key, _, value = unquote_path(override).partition("=")
    return key.lstrip("+~"), value


def _of_runs(runs: Sequence[Run], left_out: tuple[Path, ...]) -> Comparison:
    keys, differing = _differing(runs)
    entries = []
    names = run_names(*runs) if len(runs) == 2 else [None] * len(runs)
    for run, values, name in zip(runs, differing, names, strict=True):
        status = {"completed": "done"}.get(run.status.name, run.status.name)
        configuration = name or configuration_label(values)
        observed = seed_of(run), fold_of(run)
        entries.append(Entry(run.path, configuration, *observed, values, status, run.status.reason, run))
    parents = {run.path.parent.name for run in runs}
    name = parents.pop() if len(parents) == 1 else "runs"
    return Comparison(name, keys, _counted(entries), None, None, left_out)


def _differing(runs: Sequence[Run]) -> tuple[list[str], list[dict[str, str]]]:
    """The keys in which runs differ, without those that follow from another, and each run's values for them."""
    configs = [_settings(run) for run in runs]
    keys = [key for key in _union(configs) if len({_written(config.get(key)) for config in configs}) > 1]
    keys = [key for key in keys if not _follows(key, keys, configs)]
    values = [{key.removesuffix(".name"): _written(config.get(key)) for key in keys} for config in configs]
    return [key.removesuffix(".name") for key in keys], values


def _counted(entries: Sequence[Entry]) -> list[Entry]:
    """Mark what counts: of the runs of one configuration, seed and fold that are done the one that ended last.

    A run without its metrics has nothing to be compared by, however it ended.
    """
    entries = [
        replace(entry, status="unknown", reason="its metrics.csv is missing or empty")
        if entry.status == "done" and entry.run and not entry.run.history()
        else entry
        for entry in entries
    ]
    newest: dict[Observation, Entry] = {}
    for entry in entries:
        if entry.status == "done" and entry.run:
            other = newest.get(entry.observation)
            if other is None or _ended(entry) >= _ended(other):
                newest[entry.observation] = entry
    return [_marked(entry, newest.get(entry.observation)) for entry in entries]


def _marked(entry: Entry, newest: Entry | None) -> Entry:
    if entry is newest or entry.status != "done":
        return replace(entry, counts=entry is newest)
    return replace(entry, reason="another run of its configuration and seed counts")


def _ended(entry: Entry) -> str:
    return (entry.run and entry.run.record.get("ended")) or ""


def seed_of(run: Run) -> int | str:
    """See `Entry.seed`."""
    seed = int(run.config.seed)
    derived = derived_seeds(seed)
    alone = {name: value for name, value in (run.config.get("seeds") or {}).items() if value != derived.get(name)}
    return ", ".join([f"{seed}", *(f"{name} {value}" for name, value in alone.items())]) if alone else seed


def fold_of(run: Run) -> str | None:
    """See `Entry.fold`."""
    dataset = run.config.dataset
    return None if dataset.get("folds") is None else f"{dataset.fold} of {dataset.folds}"


def configuration_label(values: dict[str, str]) -> str:
    """What a configuration is called; a configuration that has a name is called by it."""
    if set(values) == {"configuration"}:
        return values["configuration"]
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "all"


def run_names(first: Run, second: Run) -> tuple[str, str]:
    """The shortest ends of their paths that tell two runs apart."""
    parts = [run.path.parts for run in (first, second)]
    length = next((n for n in range(1, max(map(len, parts))) if parts[0][-n:] != parts[1][-n:]), 1)
    one, other = ("/".join(part[-length:]) for part in parts)
    return one, other


def same_configuration(first: Run, second: Run) -> bool:
    """Whether two runs differ in nothing but what no comparison counts, and have the same seeds and fold."""
    one, other = ((_settings(run), seed_of(run), fold_of(run)) for run in (first, second))
    return one == other


def _settings(run: Run) -> dict[str, Any]:
    settings = flat(OmegaConf.to_container(run.config, resolve=True))
    ignored = IGNORED if has_own_data(run.config.dataset) else (*IGNORED, "dataset.root")
    return {key: value for key, value in settings.items() if not _is_below(key, ignored)}


def _is_below(key: str, others: Iterable[str]) -> bool:
    return any(f"{key}.".startswith(f"{other}.") for other in others)


def _written(value: Any) -> str:
    """A value as it is written on the command line, whole: two values never look alike."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{','.join(map(_written, value))}]" if isinstance(value, list) else str(value)


def _union(configs: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for config in configs for key in config))


def _follows(key: str, keys: Sequence[str], configs: Sequence[dict[str, Any]]) -> bool:
    """Whether a key differs only where its group's option does, whose name says it."""
    name = f"{key.partition('.')[0]}.name"
    if name not in keys or key == name:
        return False
    pairs = {(_written(config.get(name)), _written(config.get(key))) for config in configs}
    return len(pairs) == len({option for option, _ in pairs})


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
