"""Which examples a step takes: pure functions of the seed and the step."""

import numpy as np

PADDING = -1  # an index that stands for no example


class TrainingSampler:
    """An endless sequence of shuffled passes over a split, cut into batches.

    Pass p visits the examples in the permutation drawn from (seed, p); the examples left over when the
    batch size does not divide the split are left out of that pass. Step s therefore takes batch
    s mod batches_per_pass of pass s div batches_per_pass, whatever was computed before it: a resumed run
    resumes where the uninterrupted one would have been.

    Args:
        size: the number of examples.
        batch_size: the global batch size, at most `size`.
        seed: the order's seed, at least 0.
    """

    steps = None  # without end

    def __init__(self, size: int, batch_size: int, seed: int):
        self.batch_size = batch_size
        self.batches_per_pass = size // batch_size
        self._size = size
        self._seed = seed
        self._pass = -1
        self._batches = np.empty((0, batch_size), np.int64)

    def batch(self, step: int) -> np.ndarray:
        """The (batch_size,) int64 indices of the examples that `step` (from 0) takes."""
        number, position = divmod(step, self.batches_per_pass)
        if number != self._pass:
            order = np.random.Generator(np.random.Philox(key=[self._seed, number])).permutation(self._size)
            whole = order[: self.batches_per_pass * self.batch_size]
            self._batches = whole.reshape(self.batches_per_pass, self.batch_size)
            self._pass = number
        return self._batches[position]


class EvaluationSampler:
    """Every example exactly once, in the split's order; the last batch is filled up with PADDING.

    Args:
        size: the number of examples.
        batch_size: the global batch size.
        steps: at most this many batches; None for all.
    """

    def __init__(self, size: int, batch_size: int, steps: int | None = None):
        self.batch_size = batch_size
        self.steps = min(-(-size // batch_size), steps or size)
        self._size = size

    def batch(self, step: int) -> np.ndarray:
        """The (batch_size,) int64 indices of batch `step` (from 0)."""
        indices = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return np.where(indices < self._size, indices, PADDING)
