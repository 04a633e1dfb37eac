"""`cnnlab visualize`: draw what a method shows, as figures and the arrays behind them."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from cnnlab.config.build import instantiate
from cnnlab.runs.files import replace_folder
from cnnlab.training.devices import configure_runtime

log = logging.getLogger(__name__)


def visualize(config: DictConfig, directory: Path) -> None:
    """Call the method of `config.method`; print the folder with its figures.

    Args:
        config: the resolved and validated configuration (conf/visualize.yaml).
        directory: of a run, whose figures go to RUN/visualize/METHOD/; without `config.run`, where they go.

    Raises:
        UserError: the method refuses what it is given; figures of an earlier call stay.
    """
    configure_runtime(config.trainer)
    folder = directory / "visualize" / config.method.name if config.run else directory / config.method.name
    with replace_folder(folder) as temporary:
        instantiate(config.method, config=config, folder=temporary)
    print(folder)
