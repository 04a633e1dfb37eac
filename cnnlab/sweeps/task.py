"""What a launcher of Hydra's that knows nothing of cnnlab, such as submitit's or Ray's, is given as a job."""

import signal
import time
from pathlib import Path

from hydra.conf import HydraConf
from omegaconf import DictConfig

from cnnlab.config.arguments import config_folders, given_overrides
from cnnlab.errors import Interrupted
from cnnlab.sweeps.local import POLL_SECONDS, Received, timeout_seconds
from cnnlab.sweeps.process import JobProcess, stop_all, train_arguments
from cnnlab.sweeps.slots import Slot
from cnnlab.training.signals import catch_signals


def train_job(hydra: HydraConf, config: DictConfig, directory: Path) -> None:
    """Train one job of a sweep in a process of its own, as the local launcher does, wherever this one runs.

    A job that is killed for want of memory then leaves the launcher's process to tell of it. A signal is passed on
    first, so that the training saves its state; then the launcher's own handler gets it, such as submitit's for
    SIGUSR2, which puts the job back into the queue.

    Args:
        hydra: Hydra's configuration of the job.
        config: of the job, with the sweep's own keys.
        directory: of the job.

    Raises:
        RuntimeError: the training has failed, diverged or was killed; its record and log say more.
        Interrupted: a stop signal was received and passed on.
    """
    overrides = [override for override in given_overrides(hydra) if not override.startswith("sweep.")]
    arguments = train_arguments(overrides, directory, config_folders(hydra))
    process = JobProcess(directory, arguments, Slot("", {}), timeout_seconds(config))
    received = Received()
    with catch_signals(received.receive) as launchers:
        passed_on = False
        while (outcome := process.poll()) is None:
            if received.number and not passed_on:
                passed_on = True
                stop_all([process], received.number)
            if received.urgent:
                process.kill()
            time.sleep(POLL_SECONDS)
    if received.number:
        if launchers[received.number] not in (signal.SIG_DFL, signal.default_int_handler):
            signal.raise_signal(received.number)
        raise Interrupted(received.number, f"{directory}: stopped")
    if outcome.state != "done":
        raise RuntimeError(f"{outcome.state}: {outcome.reason}")
