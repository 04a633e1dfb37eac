"""A sweep: every cell of a grid is trained, or it is said why not."""

import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from rich.console import Console

from cnnlab.config.arguments import quote_path, unquote_path
from cnnlab.config.resolve import resolve
from cnnlab.config.schema import Sweep
from cnnlab.config.stored import SAME_RESULT, differences
from cnnlab.config.types import check
from cnnlab.config.validate import validate
from cnnlab.errors import Unfinished, UserError
from cnnlab.runs.lock import is_locked, sole_writer
from cnnlab.runs.run import Run
from cnnlab.sweeps.grid import Cell, Grid, read_grid
from cnnlab.sweeps.local import timeout_seconds
from cnnlab.sweeps.state import AGAIN, RETRIED, Ledger
from cnnlab.sweeps.watch import jobs_table

FOLDER = Path("outputs/sweeps")

LOG_WIDTH = 160
"""Characters of a table that no terminal limits."""


def sweep(
    context: HydraContext,
    config: DictConfig,
    launcher: Launcher,
    arguments: Sequence[str],
    arms: Mapping[str, Sequence[str]],
) -> list[Sequence[JobReturn]]:
    """Train every cell of a grid that is not done yet; print the sweep's folder.

    Args:
        context: composes the cells' configurations.
        config: as composed without the swept keys.
        launcher: set up to run jobs.
        arguments: the overrides that span the grid.
        arms: sets of overrides by name, which span it too.

    Raises:
        UserError: a cell's configuration is wrong, or differs from the one it was trained with; another process
            runs this sweep; there is no SLURM, or it refuses the jobs. Nothing has been started then.
        Interrupted: by a signal; the same command goes on.
        Unfinished: not all cells are done; which, and why, has been printed.
    """
    _refuse_keys_of_one_run(config)
    check(OmegaConf.to_container(config.sweep), Sweep, "sweep")
    timeout_seconds(config)  # refused now, not after the first job
    grid = read_grid(context.config_loader, arguments, arms)
    directory = _directory(config, grid)
    cells = list(grid.cells)
    _check_cells(context, config, cells, directory)
    ledger = Ledger.of_grid(
        directory, grid.keys, shlex.join(["cnnlab", "train", *map(unquote_path, sys.argv[1:])]), cells
    )
    _tell_surprises(grid, ledger)
    states = AGAIN | RETRIED if config.sweep.retry_failed else AGAIN
    names = [cell.name for cell in cells if ledger.entries[cell.name].state in states]
    if config.sweep.dry_run:
        _print_plan(ledger, cells, names)
        return []
    _check_cluster(config)
    directory.mkdir(parents=True, exist_ok=True)
    with _sole_sweep(directory):
        ledger.save()
        try:
            returns = _launch(config, launcher, directory, names) if names else []
        finally:
            ledger = Ledger.open(directory)
            ledger.refresh()
            ledger.save()
    print(directory)
    _report(ledger, cells)
    return [returns]


def _refuse_keys_of_one_run(config: DictConfig) -> None:
    if config.resume is not None:
        raise UserError(f"resume={config.resume}: goes on with one run; a sweep goes on by the same command again")
    for override in OmegaConf.to_container(config.hydra.overrides.hydra):
        if override.startswith("hydra.run.dir="):
            raise UserError(f"{override}: is the folder of one run; give a sweep's with sweep.name or hydra.sweep.dir")


def _launch(config: DictConfig, launcher: Launcher, directory: Path, names: Sequence[str]) -> Sequence[JobReturn]:
    ledger = Ledger.open(directory)
    with read_write(config), open_dict(config):  # what launchers make of the sweep's folder themselves
        config.hydra.sweep.dir = str(directory)
    jobs = [
        [
            *ledger.entries[name].overrides,
            quote_path(f"hydra.sweep.dir={directory}"),
            f"hydra.sweep.subdir='{name}'",
        ]
        for name in names
    ]
    try:
        returns = launcher.launch(jobs, initial_job_idx=0)
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
    ledger = Ledger.open(directory)
    error = returned._return_value
    if isinstance(error, Exception) and ledger.record(name) is None and ledger.entries[name].state == "pending":
        ledger.end(name, "failed", " ".join(str(error).split()))


def _directory(config: DictConfig, grid: Grid) -> Path:
    if any(
        override.startswith("hydra.sweep.dir=") for override in OmegaConf.to_container(config.hydra.overrides.hydra)
    ):
        return Path(config.hydra.sweep.dir).expanduser().absolute()
    return (FOLDER / (config.sweep.name or grid.name())).absolute()


def _check_cells(context: HydraContext, config: DictConfig, cells: Sequence[Cell], directory: Path) -> None:
    for cell in cells:
        composed = context.config_loader.load_sweep_config(config, list(cell.overrides))
        with read_write(composed), open_dict(composed):
            del composed["hydra"], composed["sweep"]
            try:
                validate(composed, "train", cell.overrides)
                resolve(composed)
            except UserError as error:
                raise UserError(f"{cell.name}: {error}") from error
        if not (directory / cell.name / "run.json").exists():
            continue
        changed = differences(composed, Run.open(directory / cell.name), SAME_RESULT)
        if changed:
            raise UserError(
                f"{directory / cell.name}: was trained with another configuration ({changed}); "
                "choose another sweep.name, or move this folder away"
            )


def _tell_surprises(grid: Grid, ledger: Ledger) -> None:
    """Say where the sweep is not just the combinations that were typed."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if grid.repeated:
        console.print(f"{grid.repeated} combinations came up again, since a value is given twice; each is trained once")
    others = len(ledger.entries) - len(grid.cells)
    if others:
        way_out = "give another sweep.name if these are two sweeps"
        console.print(f"{ledger.directory} holds {others} more cells, of an earlier grid; {way_out}", markup=False)


@contextmanager
def _sole_sweep(directory: Path) -> Iterator[None]:
    if is_locked(directory):
        raise UserError(f"{directory}: another process runs this sweep; wait for it, or choose another sweep.name")
    with sole_writer(directory):
        yield


def _print_plan(ledger: Ledger, cells: Sequence[Cell], names: Sequence[str]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for cell in cells:
        entry = ledger.entries[cell.name]
        what = "would run" if cell.name in names else "stays"
        if cell.name in names and ledger.record(cell.name):
            what = "would go on"
        console.print(f"{entry.state:12}{what:12}{cell.name}", markup=False)
    console.print(f"{len(names)} of {len(cells)} cells would be trained in {ledger.directory}", markup=False)


def _report(ledger: Ledger, cells: Sequence[Cell]) -> None:
    console = Console(stderr=True, width=None if sys.stderr.isatty() else LOG_WIDTH)
    console.print(jobs_table(ledger))
    entries: dict[str, Any] = {cell.name: ledger.entries[cell.name] for cell in cells}
    left = {name: entry for name, entry in entries.items() if entry.state != "done"}
    for name, entry in left.items():
        console.print(f"{name}: {entry.state}: {entry.reason or 'not started'}", markup=False, soft_wrap=True)
    if left:
        retry = any(entry.state in RETRIED for entry in left.values())
        way_on = "with sweep.retry_failed=true it also repeats what failed" if retry else "it goes on with them"
        raise Unfinished(
            f"{ledger.directory}: {len(cells) - len(left)} of {len(cells)} cells are done; "
            f"the same command runs what was cut, {way_on}"
        )
