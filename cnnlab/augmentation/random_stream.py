"""Random numbers per example that depend on the seed and the example's place in the batch alone."""

from collections.abc import Sequence

import tensorflow as tf

FLOAT_BITS = 24  # as many as a float32 in [0, 1) holds exactly
WORD_MASK = 0xFFFF_FFFF
APART = -1  # no number of a call


class RandomStream:
    """Stateless random numbers for a replica's share of a batch.

    Every call draws for the whole global batch and keeps the rows of this share, so what an example gets does
    not depend on how many replicas share the batch. Numbers repeat exactly for the same seed and order of
    calls, on any device, compiled with XLA or not.

    Args:
        seed: int32 (2,), e.g. (augmentation seed, step).
        batch_size: examples in the global batch.
        start: position of the share's first example in the global batch, a number or an int32 scalar.
        size: examples in the share.
        indices: int64 (size,), which examples of the training split these are.
        passes: int64 scalar, how often the whole split has been seen before.
    """

    def __init__(
        self,
        seed: tf.Tensor,
        batch_size: int,
        start: tf.Tensor | int,
        size: int,
        indices: tf.Tensor,
        passes: tf.Tensor | int,
    ):
        self.indices = indices
        self.passes = passes
        self._seed = seed
        self._batch_size = batch_size
        self._start = start
        self._size = size
        self._calls = 0

    def uniform(
        self,
        shape: Sequence[int] = (),
        minval: float = 0,
        maxval: float = 1,
        dtype: tf.DType = tf.float32,
    ) -> tf.Tensor:
        """Draw from the uniform distribution on [minval, maxval).

        Args:
            shape: of what one example gets.
            dtype: float32, or int32 for whole numbers.

        Returns:
            A tensor of shape (size, *shape).
        """
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._calls, alg="philox")
        self._calls += 1
        if dtype.is_integer:
            # A slice of 32-bit whole numbers would be taken on the host, where there is a GPU.
            numbers = tf.cast(self._integers(shape, seed, minval, maxval, dtype), tf.int64)
            return tf.cast(self._share(numbers), dtype)
        # Made from integers, because XLA's floating-point generator does not return TensorFlow's numbers.
        fractions = tf.cast(self._integers(shape, seed, 0, 2**FLOAT_BITS, tf.int32), dtype) * 2.0**-FLOAT_BITS
        return self._share(minval + (maxval - minval) * fractions)

    def normal(self, shape: Sequence[int] = ()) -> tf.Tensor:
        """Draw from the standard normal distribution: float32 (size, *shape)."""
        smallest = 2.0**-FLOAT_BITS  # 0 has no quantile
        return tf.math.ndtri(self.uniform(shape, smallest, 1.0))

    def coins(self) -> tf.Tensor:
        """Toss a fair coin for each example of the training split.

        Unlike other draws it depends on the augmentation's seed and the example alone, not on the step.

        Returns:
            bool (size,).
        """
        salt = tf.cast(self._seed[0], tf.int64) * 0x9E37_79B9 + 0x7F4A_7C15 * (self._calls + 1)
        self._calls += 1
        return (
            tf.bitwise.bitwise_and(_hash(tf.bitwise.bitwise_xor(tf.cast(self.indices, tf.int64), _hash(salt))), 1) == 1
        )

    def apart(self) -> "RandomStream":
        """A stream of its own for the same examples: nothing that this one is asked for changes what that one gives,
        nor the other way round."""
        seed = tf.random.experimental.stateless_fold_in(self._seed, APART, alg="philox")
        return RandomStream(seed, self._batch_size, self._start, self._size, self.indices, self.passes)

    def _integers(
        self, shape: Sequence[int], seed: tf.Tensor, minval: float, maxval: float, dtype: tf.DType
    ) -> tf.Tensor:
        rows = (self._batch_size, *shape)
        return tf.random.stateless_uniform(rows, seed, minval, maxval, dtype, alg="philox")

    def _share(self, values: tf.Tensor) -> tf.Tensor:
        shape = values.shape[1:]
        return tf.slice(values, [self._start, *(0 for _ in shape)], [self._size, *shape])


def _hash(values: tf.Tensor) -> tf.Tensor:
    """Scatter int64 values over 0 … 2³² - 1 (the finalizer of MurmurHash3, by Appleby).

    In 64 bits because TensorFlow's GPU kernels do not all know unsigned numbers.
    """
    values = tf.bitwise.bitwise_and(values, WORD_MASK)
    for shift, factor in ((16, 0x85EB_CA6B), (13, 0xC2B2_AE35), (16, 1)):
        values = tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, tf.constant(shift, tf.int64)))
        values = tf.bitwise.bitwise_and(values * factor, WORD_MASK)
    return values
