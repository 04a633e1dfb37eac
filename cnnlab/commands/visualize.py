"""`cnnlab visualize`: draw what a method shows, as figures and the arrays behind them."""

import logging
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from cnnlab.errors import UserError
from cnnlab.reporting.run_page import write_report
from cnnlab.runs.run import Run
from cnnlab.runtime.devices import configure_runtime
from cnnlab.visualize.draw import draw_into

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
        Exception: of several methods one has failed; raised when the others have drawn and the report is written.
    """
    configure_runtime(config.trainer)
    parent = directory / "visualize" if config.run else directory
    is_single = "_target_" in config.method
    failure = None
    if is_single:
        print(draw_into(config, parent))
    else:
        failure = _draw_each(config, parent)
    if config.run:
        run = Run.open(config.run)
        write_report(run)
        if not is_single:
            print(run.path / "report.html")
    if failure:
        raise failure


def _draw_each(config: DictConfig, parent: Path) -> Exception | None:
    """Draw with each method, whatever becomes of the others, and return the first fault of the program's own."""
    refusals, failures = [], []
    methods = [node for node in config.method.values() if OmegaConf.is_dict(node)]
    for number, node in enumerate(methods, 1):
        log.info("%s (%d of %d)", node.name, number, len(methods))
        single = deepcopy(config)
        single.method = node
        try:
            print(draw_into(single, parent))
        except UserError as error:
            log.warning("%s is left out: %s", node.name, error)
            refusals.append(error)
        except Exception as error:
            log.exception("%s has failed; the others go on", node.name)
            failures.append(error)
    if len(refusals) == len(methods):
        raise refusals[0]
    return failures[0] if failures else None
