"""Output that is read by others, who may leave early."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, TextIO

READER_IS_GONE = frozenset({errno.EPIPE, errno.EIO})  # `| head -1` has ended; the terminal was closed


@contextmanager
def outlive_readers() -> Iterator[None]:
    """For the length of the block, drop what is written to stdout or stderr and can no longer be read, and write ? for
    a character that the terminal's encoding lacks.

    `cnnlab train 2>&1 | head -1` trains to its end, and so does a training whose terminal was closed. A full disk
    behind stdout is an error, as ever; messages on stderr are dropped then.
    """
    streams = sys.stdout, sys.stderr
    sys.stdout = _Outliving(sys.stdout, READER_IS_GONE)
    sys.stderr = _Outliving(sys.stderr, READER_IS_GONE | {errno.ENOSPC, errno.EDQUOT})
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = streams


class _Outliving:
    """A text stream that is silent once it cannot be written to; in everything else the one it is made of."""

    def __init__(self, stream: TextIO | None, forgiven: frozenset[int]):
        self._stream = stream or open(os.devnull, "w")  # noqa: SIM115, PTH123 - None where the shell has closed it
        self._forgiven = forgiven
        if isinstance(self._stream, TextIOWrapper) and self._stream.errors in ("strict", "surrogateescape"):
            is_utf8 = self._stream.encoding.lower() == "utf-8"  # which lacks but the bytes of odd file names
            self._stream.reconfigure(errors="surrogateescape" if is_utf8 else "replace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._forgive(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._forgive(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _forgive(self, error: OSError) -> None:
        if error.errno not in self._forgiven:
            raise error
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, self._stream.fileno())  # also for what other code writes there, and for what is buffered
        os.close(silent)
