"""From a command line to a command: Hydra composes, cnnlab checks, then the command runs."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import hydra
import yaml
from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from cnnlab.config.arguments import given_overrides, path_argument, prepare
from cnnlab.config.complete import complete
from cnnlab.config.explain import explain
from cnnlab.config.overrides import named_twice, overridden
from cnnlab.config.plugin_options import check_options, project_arguments, require_trust
from cnnlab.config.resolvers import register_resolvers
from cnnlab.config.run_config import RUN_KEYS, check_resumable, primary_config, stored_run, tell_new_shares
from cnnlab.config.single_job import asks_for_one_job, run_single_job
from cnnlab.errors import Interrupted, UserError
from cnnlab.plugins.project import FILE as PROJECT_FILE
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

COMPOSES_TRAIN = frozenset({"train", "inspect", "eval", "visualize"})
"""Commands that compose conf/train.yaml, unless they are given a run."""

Task = Callable[[DictConfig, Path], None]
TrainJob = Callable[[HydraConf, DictConfig, Path], None]

ONCE = frozenset({"doctor", "compare"})
"""Commands that are not repeated with -m."""


def launch(
    command: str, arguments: Sequence[str], task: Task, train_job: TrainJob | None = None, *, is_one_job: bool = False
) -> None:
    """Compose the configuration of a command and call `task` with it: once, or with -m once per combination.

    Hydra's flags that only print (--help, --cfg, --info, completion) do that instead.

    Args:
        command: its name, such as train.
        arguments: the command line after the command.
        task: called with the resolved configuration and the directory to write into.
        train_job: called for every job of a sweep of trainings, with Hydra's configuration of the job, the job's own,
            not yet checked, and its directory; None runs them in this process, as those of other commands.
        is_one_job: whether a configuration that is a sweep, as of some recipes, is refused.

    Raises:
        UserError: the command line or the configuration is wrong.
        SystemExit: a flag that prints has printed.
        Exception: whatever `task` raises, the first of several with -m.
    """
    if command in ONCE and {"-m", "--multirun"} & {*arguments}:
        raise UserError(f"-m: {command} has nothing to sweep over; leave it out")
    for argument, later in overridden(arguments):
        log.warning("%s: does not count, since %s comes later", argument, later)
    for argument, name in named_twice(arguments):
        log.warning("%s: %s counts once", argument, name)
    register_resolvers()
    arguments = [*_from_plugins(command, arguments), *arguments]
    run = stored_run(command, arguments)
    job = _Job(command, run, task, train_job, arguments)
    argv = [sys.argv[0], *prepare(arguments)]
    with primary_config(command, run) as name, _environment("HYDRA_FULL_ERROR", "1"), command_line(argv):
        try:
            flags = get_args_parser().parse_args()
            if not (asks_for_one_job(flags) and run_single_job(name, flags, job)):
                if is_one_job:
                    raise UserError(
                        f"{' '.join(arguments)}: is a sweep; give it to the command line, cnnlab {command} -m"
                    )
                hydra.main(version_base="1.3", config_path="pkg://cnnlab.conf", config_name=name)(job)()
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, TypeError, ValueError) as error:
            raise UserError(explain(error, arguments)) from error
        except FileNotFoundError as error:  # not the job's, which keeps its own: Hydra could not make the directory
            raise UserError(f"{error.filename}: cannot be made ({error.strerror}); choose hydra.run.dir=…") from error
    if job.failures:
        raise job.failures[0]


def _from_plugins(command: str, arguments: Sequence[str]) -> list[str]:
    """Check what plug-ins add to the groups; return what the project around puts before the arguments."""
    if command in ONCE:
        return []
    require_trust(arguments)
    added = project_arguments(command in COMPOSES_TRAIN and not _is_of_run(command, arguments), arguments)
    check_options()
    for argument in added:
        log.warning("%s: as the project says in its %s", argument, PROJECT_FILE)
    return added


def _is_of_run(command: str, arguments: Sequence[str]) -> bool:
    return path_argument(arguments, RUN_KEYS.get(command, "")) is not None


class _Job:
    """What Hydra calls. It keeps exceptions to itself: Hydra would wrap them in messages of its own."""

    def __init__(self, command: str, run: Run | None, task: Task, train_job: TrainJob | None, arguments: Sequence[str]):
        self.command = command
        self.run = run
        self.task = task
        self.train_job = train_job
        self.arguments = arguments
        self.argv = list(sys.argv)
        self.failures: list[Exception] = []

    def __call__(self, config: DictConfig) -> None:
        if any(isinstance(failure, Interrupted) for failure in self.failures):
            return
        directory = Path(HydraConfig.get().runtime.output_dir)
        if self.train_job and HydraConfig.get().mode is RunMode.MULTIRUN and self.run is None:
            self.train_job(HydraConfig.get(), config, directory)  # its failures are for the sweep to report
            return
        try:
            self._check(config, directory)
            with command_line(self.argv), _log_to_stderr():  # a run records the command as it was given
                self.task(config, self.run.path if self.run else directory)
        except Exception as error:  # Ctrl-C, which is none, ends everything at once
            if HydraConfig.get().mode is RunMode.MULTIRUN:
                log.error("job %s: %s", HydraConfig.get().job.num, error)
            self.failures.append(error)
        finally:
            if directory != Path.cwd():
                _remove_empty(directory)

    def _check(self, config: DictConfig, directory: Path) -> None:
        overrides = given_overrides(HydraConfig.get())
        if self.run is None and any(override.startswith("sweep.") for override in overrides):
            raise UserError("sweep.…: only a sweep uses these keys; add -m")
        with open_dict(config):
            config.pop("sweep", None)  # a run knows nothing of the sweep it is part of
        try:
            told = complete(config, self.command, overrides, HydraConfig.get())
        except OmegaConfBaseException as error:
            raise UserError(explain(error, self.arguments)) from error
        for line in told:
            log.warning("%s", line)
        if self.run and self.command == "train":
            if not directory.samefile(self.run.path):  # which may be called ../RUN, and Hydra leaves out such parts
                raise UserError(f"hydra.run.dir={directory}: a resumed run stays in {self.run.path}")
            check_resumable(config, self.run)
            tell_new_shares(config, self.run)


def _remove_empty(directory: Path) -> None:
    """Remove the directory that Hydra made for a job that wrote nothing, and the empty ones above it.

    Above, only what lies below the working directory is touched; rmdir itself removes nothing but the empty.
    """
    with suppress(OSError):
        directory.rmdir()
        for folder in directory.parents:
            if Path.cwd() not in folder.parents:
                break
            folder.rmdir()


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is now: while a live display is shown, lines go above it."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None: ...


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Send cnnlab's log lines to stderr; stdout carries results alone.

    Not through Hydra's job_logging: its dictConfig closes the handlers of other libraries, absl's among them.
    """
    logger = logging.getLogger("cnnlab")
    if logger.level == logging.NOTSET and HydraConfig.get().verbose is not True:
        logger.setLevel(logging.INFO)
    handler = _StderrHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def command_line(argv: list[str]) -> Iterator[None]:
    """What this process was started with, which a run records, while the block lasts."""
    previous, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = previous


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    previous = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if previous is None:
            del os.environ[name]
        else:
            os.environ[name] = previous
