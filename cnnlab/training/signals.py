"""SIGINT and SIGTERM as a request to stop at the next safe point."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether, and by which signal, the run was asked to stop.

    Attributes:
        signal_number: the signal received; 0 for none.
    """

    def __init__(self) -> None:
        self.signal_number = 0

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one of the same kind ends the process at once."""
        if self.signal_number == signal_number:
            signal.signal(signal_number, signal.SIG_DFL)
            signal.raise_signal(signal_number)
        self.signal_number = self.signal_number or signal_number


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM for the length of the block."""
    request = StopRequest()
    previous = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
