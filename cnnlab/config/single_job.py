"""Hydra's entry point for one job, in half of its time.

`hydra.main` composes the configuration of a single job twice, the first time only to find out whether it is a sweep.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import run_job
from hydra.errors import ConfigCompositionException, SearchPathException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import OmegaConf

from cnnlab.runs.files import numbered_folder

HANDLED = frozenset({"run", "config_dir", "overrides"})


def asks_for_one_job(flags: argparse.Namespace) -> bool:
    """Whether Hydra's flags ask for nothing but one job."""
    return not any(value for name, value in vars(flags).items() if name not in HANDLED)


def run_single_job(name: str, flags: argparse.Namespace, task: TaskFunction) -> bool:
    """Do what `hydra.main` does for one job; return False, having done nothing, where it is a sweep after all.

    Other than there, a folder that is named after the time is one that was not there: of several commands that begin
    in the same second, each has its own.

    Args:
        name: of the primary configuration.
        flags: of the command line, as Hydra's parser reads them.
        task: called with the configuration.
    """
    with _hydra(flags.config_dir) as hydra:
        try:
            config = hydra.compose_config(name, list(flags.overrides), RunMode.RUN, with_log_configuration=True)
        except ConfigCompositionException as error:
            if str(error).startswith(("Sweep parameters", "Ambiguous value")):  # an experiment may say that it is one
                return False
            raise
        if config.hydra.mode not in (None, RunMode.RUN):
            return False
        config.hydra.mode = RunMode.RUN
        if "${now:" in str(cast(dict[str, Any], OmegaConf.to_container(config.hydra.run))["dir"]):
            config.hydra.run.dir = str(numbered_folder(Path(config.hydra.run.dir)))
        callbacks = Callbacks(config)
        callbacks.on_run_start(config=config, config_name=name)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
        returned = run_job(task, config, "hydra.run.dir", None, context)
        callbacks.on_run_end(config=config, config_name=name, job_return=returned)
        _ = returned.return_value  # raises what the job has raised
    return True


@contextmanager
def _hydra(config_folder: str | None) -> Iterator[Hydra]:
    version.setbase("1.3")
    search_path = create_config_search_path("pkg://cnnlab.conf")
    if config_folder is not None:
        folder = Path(config_folder).absolute()
        if not folder.is_dir():
            raise SearchPathException(f"Additional config directory '{folder}' not found")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    try:
        yield Hydra.create_main_hydra2("cnnlab", search_path)
    finally:
        GlobalHydra.instance().clear()
