"""Signals as a request to save the state and stop at the next safe point."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, Signals
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import Any

STOP_SIGNALS = (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2)
"""Ctrl-C, kill, a terminal or ssh connection that closes, and what SLURM and submitit send before time is up."""


@contextmanager
def catch_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[dict[int, Any]]:
    """Give the stop signals to `handler` for the length of the block.

    Those that are ignored stay so: `nohup` ignores SIGHUP, and a shell's background jobs SIGINT.

    Yields:
        The handlers that were replaced, by signal.
    """
    found: dict[int, Any] = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    replaced = {number: earlier for number, earlier in found.items() if earlier not in (signal.SIG_IGN, None)}
    for number in replaced:
        signal.signal(number, handler)
    try:
        yield replaced
    finally:
        for number, earlier in replaced.items():
            signal.signal(number, earlier)


class StopRequest:
    """Whether, and by which signal, the run was asked to stop.

    Attributes:
        signal_number: the first signal received; 0 for none.
        say: tells the user that the request was heard; called from another thread.
        restore_terminal: called from another thread before a second Ctrl-C ends the process.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self.say: Callable[[str], None] = _say
        self.restore_terminal: Callable[[], None] = lambda: None

    def receive(self, number: int) -> None:
        """Note the first signal and say so; a second Ctrl-C ends the process at once.

        A second signal of another kind, or a second SIGTERM, changes nothing: a cluster may send a signal to every
        process of a job while the parent passes it on as well.
        """
        if not self.signal_number:
            self.signal_number = number
            by, again = ("", "again ") if number == SIGINT else (f"{Signals(number).name}: ", "")
            self.say(f"{by}stopping after this chunk; Ctrl-C {again}aborts")
        elif number == SIGINT:
            self.restore_terminal()
            self.say("aborted; what was saved before stays")
            os._exit(128 + number)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the stop signals into a request for the length of the block.

    They are received in a thread: Python runs a signal handler only between two bytecodes of the main thread, which
    may wait for the device, or for the compiler, for minutes. Outside of the main thread, where Python has no signals,
    nobody requests anything.
    """
    request = StopRequest()
    if current_thread() is not main_thread():
        yield request
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    with reader, writer, catch_signals(lambda number, frame: None) as caught:
        watcher = Thread(target=_receive_all, args=(reader, request, caught.keys()), daemon=True)
        watcher.start()
        earlier = signal.set_wakeup_fd(writer.fileno())
        try:
            yield request
        finally:
            signal.set_wakeup_fd(earlier)
            writer.close()
            watcher.join()


def _receive_all(reader: socket.socket, request: StopRequest, numbers: Any) -> None:
    while data := reader.recv(1):
        if data[0] in numbers:
            request.receive(data[0])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
