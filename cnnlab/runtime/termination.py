"""The end of a command that somebody else ends: `timeout`, `kill`, a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


@contextmanager
def end_on_sigterm() -> Iterator[None]:
    """For the length of the block, SIGTERM ends what runs as Ctrl-C does, so that nothing half written is left.

    Whoever handles the signal already goes on to do so; a training does within (see `training.signals`).

    Raises:
        Terminated: SIGTERM was received.
    """
    is_main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise Terminated
