"""Importing TensorFlow without the noise it makes on the way."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",  # errors of the C++ part only; 0 shows all
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # even where something asks for a GPU before the trainer is configured
    "KERAS_BACKEND": "tensorflow",
}


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; what it prints meanwhile becomes one debug message.

    Some of it (oneDNN, missing CUDA libraries) comes before any log level counts, so it is caught at the file
    descriptor. If the import fails, everything is shown.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if "tensorflow" in sys.modules:
        return
    with _stderr_to_debug():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextmanager
def _stderr_to_debug() -> Iterator[None]:
    """Send file descriptor 2 to the debug log for the length of the block; show it if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(original, 2)
            caught.seek(0)
            os.write(2, caught.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
        caught.seek(0)
        log.debug("TensorFlow said while starting:\n%s", caught.read().decode(errors="replace").rstrip())
