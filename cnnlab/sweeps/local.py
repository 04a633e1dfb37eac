"""Running the jobs of a sweep on this machine, as many at a time as there are slots."""

import signal
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from cnnlab.config.arguments import config_folders
from cnnlab.config.durations import parse_duration
from cnnlab.errors import Interrupted, UserError
from cnnlab.sweeps.process import JobProcess, Outcome, stop_all, train_arguments
from cnnlab.sweeps.slots import Slot, make_slots
from cnnlab.sweeps.state import SweepState
from cnnlab.sweeps.watch import Display, choose_display
from cnnlab.training.signals import catch_signals

POLL_SECONDS = 0.1


def launch(
    context: HydraContext, config: DictConfig, job_overrides: Sequence[Sequence[str]], slots: str | int, progress: str
) -> Sequence[JobReturn]:
    """Train every job in a process of its own; see `hydra.plugins.launcher.Launcher.launch`.

    A job that raises, diverges, is killed or takes too long leaves the others alone.

    Args:
        context: composes the jobs' configurations, which name their folders.
        config: of the sweep; its folder has a sweep.json that knows the jobs.
        job_overrides: of each job.
        slots: see `make_slots`.
        progress: see conf/hydra/launcher/local.yaml.

    Returns:
        How each job has ended, in the order given: the best value of its monitor, or the reason as an exception.

    Raises:
        UserError: see `make_slots`.
        Interrupted: a stop signal was received, passed on to the jobs, and all of them have ended.
    """
    directory = Path(config.hydra.sweep.dir)
    sweep_state = SweepState.open(directory)
    folders = config_folders(config.hydra)
    timeout = timeout_seconds(config)
    waiting: deque[tuple[str, list[str]]] = deque()
    configs = [context.config_loader.load_sweep_config(config, list(overrides)) for overrides in job_overrides]
    for composed in configs:
        name = composed.hydra.sweep.subdir
        waiting.append((name, train_arguments(sweep_state.entries[name].overrides, directory / name, folders)))
    free = make_slots(slots)
    received = Received()
    with choose_display(progress, sweep_state) as display, catch_signals(received.receive):
        outcomes = _run(waiting, free, sweep_state, timeout, display, received)
    if received.number:
        name = signal.Signals(received.number).name
        raise Interrupted(received.number, f"stopped by {name}; the same command resumes {directory}")
    return [_returned(sweep_state, composed.hydra.sweep.subdir, outcomes) for composed in configs]


def timeout_seconds(config: DictConfig) -> float | None:
    """`sweep.job_timeout` in seconds."""
    text = config.sweep.job_timeout
    if text is None:
        return None
    duration = parse_duration(text, "sweep.job_timeout")
    if duration.unit != "minutes":
        raise UserError(f"sweep.job_timeout={text}: give minutes, such as '90 minutes'")
    return 60 * duration.value


class Received:
    """The first signal received; a Ctrl-C that follows is `urgent`."""

    def __init__(self) -> None:
        self.number = 0
        self.urgent = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.urgent = self.urgent or (self.number != 0 and number == signal.SIGINT)
        self.number = self.number or number


def _run(
    waiting: deque[tuple[str, list[str]]],
    free: list[Slot],
    sweep_state: SweepState,
    timeout: float | None,
    display: Display,
    received: Received,
) -> dict[str, Outcome]:
    """Run all that wait; after a signal only until those that run have ended."""
    running: dict[str, JobProcess] = {}
    outcomes: dict[str, Outcome] = {}
    passed_on = False
    try:
        while running or (waiting and not received.number):
            while waiting and free and not received.number:
                name, arguments = waiting.popleft()
                slot = free.pop(0)
                running[name] = JobProcess(sweep_state.directory / name, arguments, slot, timeout)
                sweep_state.begin(name, slot.name)
                display.began(name)
            if received.number and not passed_on:
                passed_on = True
                stop_all(running.values(), received.number)
            if received.urgent:
                for process in running.values():
                    process.kill()
            for name, process in list(running.items()):
                outcome = process.poll()
                if outcome is not None:
                    del running[name]
                    free.append(process.slot)
                    outcomes[name] = outcome
                    sweep_state.end(name, outcome.state, outcome.reason)
                    display.ended(name)
            display.refresh()
            time.sleep(POLL_SECONDS)
    finally:  # nothing is left running, whatever went wrong here
        for process in running.values():
            process.kill()
    return outcomes


def _returned(sweep_state: SweepState, name: str, outcomes: dict[str, Outcome]) -> JobReturn:
    outcome = outcomes[name]
    result = JobReturn(overrides=sweep_state.entries[name].overrides, working_dir=str(sweep_state.directory / name))
    if outcome.state == "done":
        best = (sweep_state.record(name) or {}).get("best") or {}
        result.status, result.return_value = JobStatus.COMPLETED, best.get("value")
    else:
        result.status, result.return_value = JobStatus.FAILED, RuntimeError(outcome.reason)
    return result
