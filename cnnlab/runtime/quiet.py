"""Keeping the chatter of libraries from the terminal."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


class Caught:
    """What was written during a `quiet` block; `text` is known once it has ended."""

    text = ""


@contextmanager
def quiet() -> Iterator[Caught]:
    """Catch what is written to stdout and stderr for the length of the block, whether or not it raises.

    At the file descriptors, because much of what TensorFlow says comes from C++, before any log level counts.
    """
    caught = Caught()
    root = logging.getLogger()
    handlers = list(root.handlers)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    originals = {number: os.dup(number) for number in (1, 2)}
    with tempfile.TemporaryFile() as file:
        try:
            for number in originals:
                os.dup2(file.fileno(), number)
            yield caught
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, original in originals.items():
                os.dup2(original, number)
                os.close(original)
            root.handlers[:] = handlers  # logging.info, as onnxruntime calls it, adds one where there is none
            file.seek(0)
            caught.text = file.read().decode(errors="replace").rstrip()
