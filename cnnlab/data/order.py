"""In which order a training run sees its examples: a pure function of the seed and the step."""

from dataclasses import dataclass

import numpy as np

PADDING = -1  # an index that stands for no example


@dataclass(frozen=True)
class TrainingOrder:
    """An endless sequence of shuffled passes over a split, cut into batches.

    Pass p visits the examples in the permutation drawn from (seed, p); the examples left over when the
    batch size does not divide the split are left out of that pass. Step s therefore takes batch
    s mod batches_per_pass of pass s div batches_per_pass, whatever was computed before it: a resumed run
    goes on where the uninterrupted one would have been.

    Attributes:
        size: the number of examples.
        batch_size: the global batch size, at most `size`.
        seed: the order's seed.
    """

    size: int
    batch_size: int
    seed: int

    @property
    def batches_per_pass(self) -> int:
        return self.size // self.batch_size

    def pass_batches(self, number: int) -> np.ndarray:
        """The batches of one pass: int32 indices of shape (batches_per_pass, batch_size)."""
        order = np.random.Generator(np.random.Philox(key=[self.seed, number])).permutation(self.size)
        whole = order[: self.batches_per_pass * self.batch_size].astype(np.int32)
        return whole.reshape(self.batches_per_pass, self.batch_size)


def evaluation_batches(size: int, batch_size: int, steps: int | None = None) -> np.ndarray:
    """Every example once, in order: int32 indices of shape (batches, batch_size).

    The last batch is filled up with PADDING. `steps` limits the number of batches.
    """
    batches = -(-size // batch_size)
    indices = np.full(batches * batch_size, PADDING, np.int32)
    indices[:size] = np.arange(size, dtype=np.int32)
    return indices.reshape(batches, batch_size)[:steps]
