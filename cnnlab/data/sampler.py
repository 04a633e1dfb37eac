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


class BalancedSampler:
    """An endless sequence of draws that take every class as often, those of a pass in shuffled order.

    Of K classes draw number t, from 0, is of class t mod K, and it is draw t div K of that class. A class runs through
    whole permutations of its examples, that of round r drawn from (seed, class, r). A pass is as many draws as make
    whole batches and are not more than the split's examples: N / K of each class, where that is whole; else the classes
    to which the remainder gives one draw more take turns from pass to pass. Draws of a pass are shuffled by the
    permutation drawn from (seed, pass). No step depends on what was computed before it.

    Args:
        labels: (N,) class indices; a class without an example is not drawn.
        batch_size: the global batch size, at most N.
        seed: the order's seed, at least 0.
    """

    steps = None  # without end

    def __init__(self, labels: np.ndarray, batch_size: int, seed: int):
        self.batch_size = batch_size
        self.batches_per_pass = len(labels) // batch_size
        self._seed = seed
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._pass = -1
        self._batches = np.empty((0, batch_size), np.int64)

    def batch(self, step: int) -> np.ndarray:
        """The (batch_size,) int64 indices of the examples that `step` (from 0) takes."""
        number, position = divmod(step, self.batches_per_pass)
        if number != self._pass:
            size = self.batches_per_pass * self.batch_size
            draws = self._draws(number * size, (number + 1) * size)
            order = np.random.Generator(np.random.Philox(key=[self._seed, number])).permutation(size)
            self._batches = draws[order].reshape(self.batches_per_pass, self.batch_size)
            self._pass = number
        return self._batches[position]

    def _draws(self, start: int, stop: int) -> np.ndarray:
        """The examples of draws start … stop - 1."""
        count = len(self._members)
        found = np.empty(stop - start, np.int64)
        for label, members in enumerate(self._members):
            mine = np.arange(start + (label - start) % count, stop, count)
            if len(mine):
                rounds, positions = np.divmod(mine // count, len(members))
                orders = [self._permutation(label, number) for number in range(rounds[0], rounds[-1] + 1)]
                found[mine - start] = members[np.stack(orders)[rounds - rounds[0], positions]]
        return found

    def _permutation(self, label: int, number: int) -> np.ndarray:
        """The order of a class's examples in round `number`; its counter is apart from that of a pass's order."""
        stream = np.random.Philox(key=[self._seed, number], counter=[0, 0, 0, 1 + label])
        return np.random.Generator(stream).permutation(len(self._members[label]))


class EvaluationSampler:
    """Every example exactly once, in the split's order; the last batch is filled up with PADDING.

    Where the steps are too few for all of them, they are taken at equal distances, since the first ones of a split that
    is sorted by class would all be of one.

    Args:
        size: the number of examples.
        batch_size: the global batch size.
        steps: at most this many batches; None for all.
    """

    def __init__(self, size: int, batch_size: int, steps: int | None = None):
        self.batch_size = batch_size
        self.steps = min(-(-size // batch_size), steps or size)
        self._size = size
        self._taken = min(size, self.steps * batch_size)

    def batch(self, step: int) -> np.ndarray:
        """The (batch_size,) int64 indices of batch `step` (from 0)."""
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return np.where(numbers < self._taken, numbers * self._size // self._taken, PADDING)
