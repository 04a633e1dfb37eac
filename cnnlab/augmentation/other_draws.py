"""Random numbers that an augmentation takes from elsewhere than from its stream."""

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import tensorflow as tf

from cnnlab.errors import UserError

STATEFUL = ("Random", "Stateful", "Rng", "TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial")
"""How the types of TensorFlow's operations begin that draw other numbers each time they run."""

log = logging.getLogger(__name__)
_told: set[tuple[str, str]] = set()


@contextmanager
def watch_draws(name: str) -> Iterator[None]:
    """Look at what an augmentation draws while it is traced.

    Python runs once, when the step is traced: what NumPy or `random` draw is a constant of all steps. TensorFlow's own
    generators draw anew in each step, but other numbers after a resume, which is told.

    Args:
        name: of the augmentation, for messages.

    Raises:
        UserError: NumPy's global generator, or Python's, was drawn from while a step was traced.
    """
    if tf.executing_eagerly():
        yield
        return
    graph = tf.compat.v1.get_default_graph()
    before, states = len(graph.get_operations()), _states()
    yield
    for generator, state in _states().items():
        if state != states[generator]:
            raise UserError(
                f"augmentation {name}: draws from {generator}, which runs once, while the step is traced: every batch "
                "would get the same numbers; draw from its stream, such as stream.uniform()"
            )
    drawn = {
        operation.type
        for operation in graph.get_operations()[before:]
        if operation.op_def is not None and operation.op_def.is_stateful and operation.type.startswith(STATEFUL)
    }
    for kind in sorted(drawn):
        if (name, kind) not in _told:
            _told.add((name, kind))
            log.warning(
                "augmentation %s: draws from TensorFlow's generator (%s), whose numbers do not depend on the seed and "
                "the step, so that no resume repeats them; draw from its stream, such as stream.uniform()",
                name, kind,
            )  # fmt: skip


def _states() -> dict[str, object]:
    legacy = np.random.get_state()  # noqa: NPY002 (the user may use what we do not)
    _, keys, *position = cast(tuple[str, np.ndarray, int, int, float], legacy)
    return {"numpy.random": (keys.tobytes(), *position), "Python's random": random.getstate()}
