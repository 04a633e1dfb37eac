"""`cnnlab visualize`: draw what a method shows, as figures and the arrays behind them."""

import logging
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf

from cnnlab.config.instantiate import instantiate
from cnnlab.errors import UserError
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.files import numbered_folder, replace_folder
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import configure_runtime

log = logging.getLogger(__name__)


def visualize(config: DictConfig, directory: Path) -> None:
    """Call the method of `config.method`, or each of them; print the folders with the figures, and where several
    methods have drawn into a run, in the last line its report.

    Beside its figures a folder holds config.yaml, the configuration they were drawn with. Figures of another
    configuration stay: the new ones then go to NAME-2, NAME-3, …

    Args:
        config: the resolved and validated configuration (conf/visualize.yaml).
        directory: of a run, whose figures go to RUN/visualize/METHOD/ and into its report; without `config.run`,
            where they go.

    Raises:
        UserError: the method refuses what it is given (of several methods, each does); figures of an earlier
            call stay.
    """
    configure_runtime(config.trainer)
    parent = directory / "visualize" if config.run else directory
    is_single = "_target_" in config.method
    if is_single:
        print(_draw(config, parent))
    else:
        _draw_each(config, parent)
    if config.run:
        run = Run.open(config.run)
        write_report(run)
        if not is_single:
            print(run.path / "report.html")


def _draw_each(config: DictConfig, parent: Path) -> None:
    refusals = []
    methods = [node for node in config.method.values() if OmegaConf.is_dict(node)]
    for number, node in enumerate(methods, 1):
        log.info("%s (%d of %d)", node.name, number, len(methods))
        single = deepcopy(config)
        single.method = node
        try:
            print(_draw(single, parent))
        except UserError as error:
            log.warning("%s is left out: %s", node.name, error)
            refusals.append(error)
    if len(refusals) == len(methods):
        raise refusals[0]


def _draw(config: DictConfig, parent: Path) -> Path:
    folder = _folder(parent, config)
    with replace_folder(folder) as temporary:
        draw_method(config, temporary)
        OmegaConf.save(config, temporary / "config.yaml")
    return folder


def draw_method(config: DictConfig, folder: Path) -> None:
    """Call the one method of `config.method`, which writes its figures and arrays into `folder`.

    Raises:
        UserError: the method refuses what it is given.
    """
    instantiate(config.method, config=config, folder=folder)


def _folder(parent: Path, config: DictConfig) -> Path:
    """The folder of the method's name that is free, or holds what the same configuration drew."""
    return numbered_folder(parent / config.method.name, lambda folder: _drawn_with(folder) == config)


def _drawn_with(folder: Path) -> DictConfig | ListConfig | None:
    file = folder / "config.yaml"
    return OmegaConf.load(file) if file.is_file() else None
