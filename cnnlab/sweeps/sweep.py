"""A sweep: every job of a grid is trained, or it is said why not."""

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from rich.console import Console

from cnnlab.config.arguments import given_overrides, quote_path, unquote_path
from cnnlab.config.complete import complete
from cnnlab.config.run_config import SAME_RESULT, differences, has_own_data
from cnnlab.config.schema import Sweep
from cnnlab.config.types import check
from cnnlab.errors import Unfinished, UserError, one_line
from cnnlab.runs.lock import is_locked, sole_writer
from cnnlab.runs.run import Run
from cnnlab.sweeps.grid import Grid, Job, read_grid
from cnnlab.sweeps.local import timeout_seconds
from cnnlab.sweeps.state import AGAIN, RETRIED, SweepState
from cnnlab.sweeps.watch import jobs_table

FOLDER = Path("outputs/sweeps")

Roots = tuple[str | None, str | None]
"""`dataset.root` of a job's run, and of the command."""

LOG_WIDTH = 160
"""Characters of a table that no terminal limits."""


def sweep(
    context: HydraContext,
    config: DictConfig,
    launcher: Launcher,
    arguments: Sequence[str],
    configurations: Mapping[str, Sequence[str]],
) -> list[Sequence[JobReturn]]:
    """Train every job of a grid that is not done yet; print the sweep's folder.

    Args:
        context: composes the jobs' configurations.
        config: as composed without the swept keys.
        launcher: set up to run jobs.
        arguments: the overrides that span the grid.
        configurations: sets of overrides by name, which span it too.

    Raises:
        UserError: a job's configuration is wrong, or differs from the one it was trained with; another process
            runs this sweep; there is no SLURM, or it refuses the jobs. Nothing has been started then.
        Interrupted: by a signal; the same command resumes it.
        Unfinished: not all jobs are done; which, and why, has been printed.
    """
    _refuse_keys_of_one_run(config)
    check(OmegaConf.to_container(config.sweep), Sweep, "sweep")
    timeout_seconds(config)  # refused now, not after the first job
    grid = read_grid(context.config_loader, arguments, configurations)
    directory = _directory(config, grid)
    jobs = list(grid.jobs)
    elsewhere, told = _check_jobs(context, config, jobs, directory)
    command = shlex.join(["cnnlab", "train", *map(unquote_path, sys.argv[1:])])
    sweep_state = SweepState.of_grid(directory, grid.keys, command, jobs)
    _tell_surprises(grid, sweep_state, elsewhere, told)
    states = AGAIN | RETRIED if config.sweep.retry_failed else AGAIN
    names = [job.name for job in jobs if sweep_state.entries[job.name].state in states]
    if config.sweep.dry_run:
        _print_plan(sweep_state, jobs, names)
        return []
    _check_cluster(config)
    directory.mkdir(parents=True, exist_ok=True)
    with _sole_sweep(directory):
        sweep_state.save()
        try:
            returns = _launch(config, launcher, directory, names) if names else []
        finally:
            sweep_state = SweepState.open(directory)
            sweep_state.refresh()
            sweep_state.save()
    print(directory)
    _report(sweep_state, jobs)
    return [returns]


def _refuse_keys_of_one_run(config: DictConfig) -> None:
    if config.resume is not None:
        raise UserError(f"resume={config.resume}: resumes one run; a sweep is resumed by the same command again")
    for override in _hydra_overrides(config):
        if override.startswith("hydra.run.dir="):
            raise UserError(f"{override}: is the folder of one run; give a sweep's with sweep.name or hydra.sweep.dir")


def _hydra_overrides(config: DictConfig) -> list[str]:
    """The overrides of Hydra's own keys as they were given, with their interpolations."""
    return cast(list[str], OmegaConf.to_container(config.hydra.overrides.hydra))


def _launch(config: DictConfig, launcher: Launcher, directory: Path, names: Sequence[str]) -> Sequence[JobReturn]:
    sweep_state = SweepState.open(directory)
    with read_write(config), open_dict(config):  # what launchers make of the sweep's folder themselves
        config.hydra.sweep.dir = str(directory)
    folder = quote_path(f"hydra.sweep.dir={directory}")
    overrides = [[*sweep_state.entries[name].overrides, folder, f"hydra.sweep.subdir='{name}'"] for name in names]
    try:
        returns = launcher.launch(overrides, initial_job_idx=0)
    except RuntimeError as error:
        if not type(error).__module__.startswith("submitit."):
            raise
        raise UserError(f"hydra/launcher={_launcher_name(config)}: {error}") from error
    for name, returned in zip(names, returns, strict=True):
        _note(directory, name, returned)
    return returns


def _check_cluster(config: DictConfig) -> None:
    """submitit asks for SLURM's commands only when it submits."""
    if str(config.hydra.launcher["_target_"]).endswith("SlurmLauncher"):
        for command in ("sbatch", "srun"):
            if shutil.which(command) is None:
                raise UserError(
                    f"hydra/launcher={_launcher_name(config)}: {command} is not found, so there is no SLURM here; "
                    "use hydra/launcher=local, or start this on a login node of the cluster"
                )


def _launcher_name(config: DictConfig) -> str:
    return config.hydra.runtime.choices["hydra/launcher"]


def _note(directory: Path, name: str, returned: JobReturn) -> None:
    """Take over what a launcher tells of a job that left no record of its own."""
    sweep_state = SweepState.open(directory)
    error, state = returned._return_value, sweep_state.entries[name].state
    if isinstance(error, Exception) and state == "pending" and sweep_state.record(name) is None:
        sweep_state.end(name, "failed", one_line(error))


def _directory(config: DictConfig, grid: Grid) -> Path:
    folder = next((given for given in _hydra_overrides(config) if given.startswith("hydra.sweep.dir=")), None)
    if folder:
        for given in given_overrides(config.hydra):
            if given.lstrip("+").startswith("sweep.name="):
                raise UserError(f"{given} {folder}: both say where the sweep is; give one of them")
        return Path(config.hydra.sweep.dir).expanduser().absolute()
    return (FOLDER / (config.sweep.name or grid.name())).absolute()


def _check_jobs(
    context: HydraContext, config: DictConfig, jobs: Sequence[Job], directory: Path
) -> tuple[dict[str, Roots], list[str]]:
    """Check the jobs' configurations.

    Returns:
        By name the jobs of own data that now lie elsewhere than their run's did, and lines to tell the user.
    """
    elsewhere: dict[str, Roots] = {}
    told: dict[str, None] = {}
    for job in jobs:
        composed = context.config_loader.load_sweep_config(config, list(job.overrides))
        with read_write(composed), open_dict(composed):
            hydra = composed.pop("hydra")
            del composed["sweep"]
            try:
                told.update(dict.fromkeys(complete(composed, "train", job.overrides, hydra)))
            except UserError as error:
                raise UserError(f"{job.name}: {error}") from error
        if not (directory / job.name / "run.json").exists():
            continue
        run = Run.open(directory / job.name)
        changed = differences(composed, run, SAME_RESULT)
        if changed:
            raise UserError(
                f"{directory / job.name}: was trained with another configuration ({changed}); "
                "choose another sweep.name, or move this folder away"
            )
        roots = run.config.dataset.get("root"), composed.dataset.get("root")
        if has_own_data(composed.dataset) and len(set(roots)) > 1:
            elsewhere[job.name] = roots
    return elsewhere, list(told)


def _tell_surprises(grid: Grid, sweep_state: SweepState, elsewhere: Mapping[str, Roots], told: Sequence[str]) -> None:
    """Say where the sweep is not just the combinations that were typed."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for line in told:
        console.print(line, markup=False)
    if grid.repeated:
        console.print(f"{grid.repeated} combinations came up again, since a value is given twice; each is trained once")
    others = len(sweep_state.entries) - len(grid.jobs)
    if others:
        hint = "give another sweep.name if these are two sweeps"
        console.print(f"{sweep_state.directory} holds {others} more jobs, of an earlier grid; {hint}", markup=False)
    done = Counter(roots for name, roots in elsewhere.items() if sweep_state.entries[name].state == "done")
    for (was, now), count in done.items():  # the other jobs compare the data with what they were trained on
        jobs = "1 job that is done was" if count == 1 else f"{count} jobs that are done were"
        hint = f"give another sweep.name to train on {now}, if these are other data"
        console.print(f"{jobs} trained with dataset.root={was}; {hint}", markup=False)


@contextmanager
def _sole_sweep(directory: Path) -> Iterator[None]:
    if is_locked(directory):
        raise UserError(f"{directory}: another process runs this sweep; wait for it, or choose another sweep.name")
    with sole_writer(directory):
        yield


def _print_plan(sweep_state: SweepState, jobs: Sequence[Job], names: Sequence[str]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for job in jobs:
        entry = sweep_state.entries[job.name]
        what = "would run" if job.name in names else "stays"
        if job.name in names and sweep_state.record(job.name):
            what = "would resume"
        console.print(f"{entry.state:13}{what:13}{job.name}", markup=False)
    console.print(f"{len(names)} of {len(jobs)} jobs would be trained in {sweep_state.directory}", markup=False)


def _report(sweep_state: SweepState, jobs: Sequence[Job]) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else LOG_WIDTH)
    console.print(jobs_table(sweep_state))
    left = {job.name: sweep_state.entries[job.name] for job in jobs if sweep_state.entries[job.name].state != "done"}
    for name, entry in left.items():
        console.print(f"{name}: {entry.state}: {entry.reason or 'not started'}", markup=False, soft_wrap=True)
    if left:
        retry = any(entry.state in RETRIED for entry in left.values())
        hint = "; sweep.retry_failed=true also repeats what failed" if retry else ""
        raise Unfinished(
            f"{sweep_state.directory}: {len(jobs) - len(left)} of {len(jobs)} jobs are done; "
            f"the same command resumes what was cut{hint}"
        )
