"""Importing TensorFlow without the noise it makes on the way."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cnnlab.runtime.quiet import Caught, quiet

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
    with _quiet_unless_it_fails():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextmanager
def _quiet_unless_it_fails() -> Iterator[None]:
    caught = Caught()
    try:
        with quiet() as caught:
            yield
    except Exception:
        print(caught.text, file=sys.stderr)
        raise
    log.debug("TensorFlow said while starting:\n%s", caught.text)
