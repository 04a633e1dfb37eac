"""What loggers have in common: Keras callbacks that know their run and are told how it ended."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from omegaconf import DictConfig

from cnnlab.config.flat import flat, plain
from cnnlab.config.instantiate import instantiate
from cnnlab.errors import one_line
from cnnlab.runs.run import Run

log = logging.getLogger(__name__)

NO_HYPERPARAMETERS = ("logger", "resume", "targets")


class RunLogger(keras.callbacks.Callback):
    """A Keras callback that sends a run's metrics elsewhere, one row per epoch.

    `on_train_begin` opens what it writes to, or appends to what an earlier session of the run wrote;
    `on_epoch_end` adds the metrics of an epoch.

    Args:
        run: the run.
    """

    def __init__(self, run: Run):
        super().__init__()
        self.run = run

    def close(self, status: str) -> None:
        """Close what is open, if anything.

        Args:
            status: how the run ended: completed, interrupted, diverged or failed.
        """
        raise NotImplementedError


def build_loggers(nodes: DictConfig, run: Run) -> list[RunLogger]:
    """The loggers of the configuration; nothing is opened yet."""
    return [instantiate(node, run=run) for node in nodes.values()]


@contextmanager
def closing(loggers: Sequence[RunLogger], run: Run) -> Iterator[None]:
    """Close the loggers after the block, however it ends, with the status that the run's record tells by then.

    One that cannot be closed is told of, keeps no other from being closed and hides no error of the block's.
    """
    try:
        yield
    finally:
        for logger in loggers:
            with tolerant(type(logger).__name__, "the end"):
                logger.close(run.record.get("status", "failed"))


@contextmanager
def tolerant(name: str, what: str) -> Iterator[None]:
    """Report what a logger did not take, whatever the error, and continue: it costs rows, not the training.

    Args:
        name: of the logger.
        what: it was to take.
    """
    try:
        yield
    except Exception as error:  # a service's client raises its own errors, and those of the network below
        log.warning("%s did not take %s: %s", name, what, one_line(error))


def hyperparameters(run: Run) -> dict[str, Any]:
    """The run's configuration from full keys to values, without what has no part in the result."""
    values = plain(run.config, resolve=True)
    return flat({key: value for key, value in values.items() if key not in NO_HYPERPARAMETERS})


def text(value: Any) -> str:
    """A hyperparameter as text: true, null, [4, 4]."""
    return value if isinstance(value, str) else json.dumps(value)


def run_label(run: Run) -> str:
    """The run's folder and the one above, such as all_cnn_c-cifar10/2026-01-31_12-00-00."""
    return "/".join(run.path.parts[-2:])
