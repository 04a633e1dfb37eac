"""Random numbers per example: repeatable, uniform, and blind to how the batch is shared."""

import numpy as np
import pytest
import tensorflow as tf

from cnnlab.augmentation.random_stream import RandomStream


def share(seed=(7, 0), batch_size=64, start=0, size=64, passes=0) -> RandomStream:
    indices = tf.range(1000, 1000 + batch_size, dtype=tf.int64)[start : start + size]
    return RandomStream(tf.constant(seed, tf.int32), batch_size, start, size, indices, passes)


def draw(seed=(7, 0), batch_size=64, start=0, size=64, **kwargs) -> np.ndarray:
    return share(seed, batch_size, start, size).uniform(**kwargs).numpy()


def test_a_seed_repeats():
    np.testing.assert_array_equal(draw(), draw())


@pytest.mark.parametrize("other", [(7, 1), (8, 0)], ids=["step", "augmentation seed"])
def test_another_seed_gives_other_numbers(other):
    assert not np.isin(draw(), draw(seed=other)).any()


def test_each_call_gives_fresh_numbers():
    stream = share()
    first, second = stream.uniform().numpy(), stream.uniform().numpy()
    assert not np.isin(first, second).any()


@pytest.mark.parametrize("dtype", [tf.float32, tf.int32])
def test_shares_are_rows_of_the_whole_batch(dtype):
    kwargs = {"shape": (3,), "minval": 0, "maxval": 1000, "dtype": dtype}
    halves = [draw(start=start, size=32, **kwargs) for start in (0, 32)]
    np.testing.assert_array_equal(np.concatenate(halves), draw(**kwargs))


def test_the_share_may_start_at_a_tensor():
    np.testing.assert_array_equal(draw(start=tf.constant(16), size=8), draw()[16:24])


def test_floats_fill_their_interval_evenly():
    values = draw(batch_size=40_000, size=40_000, minval=-2.0, maxval=6.0)
    assert values.dtype == np.float32
    assert values.min() >= -2
    assert values.max() < 6
    counts, _ = np.histogram(values, bins=8, range=(-2, 6))
    np.testing.assert_allclose(counts, 5000, rtol=0.06)


def test_integers_reach_both_ends_evenly():
    values = draw(batch_size=45_000, size=45_000, minval=-4, maxval=5, dtype=tf.int32)
    numbers, counts = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(numbers, np.arange(-4, 5))
    np.testing.assert_allclose(counts, 5000, rtol=0.06)


@pytest.mark.parametrize("dtype", [tf.float32, tf.int32])
def test_xla_draws_the_same_numbers(dtype):
    def call(seed, start):
        return RandomStream(seed, 64, start, 16, tf.range(16), 0).uniform((2,), 0, 100, dtype)

    arguments = tf.constant([7, 3]), tf.constant(32)
    np.testing.assert_array_equal(tf.function(call)(*arguments), tf.function(call, jit_compile=True)(*arguments))


def test_coins_are_the_examples_own_whatever_the_step_and_the_pass():
    first = share((7, 0)).coins().numpy()
    np.testing.assert_array_equal(first, share((7, 9), passes=3).coins())
    np.testing.assert_array_equal(first[16:32], share(start=16, size=16).coins())
    assert (first != share((8, 0)).coins().numpy()).any()


def test_coins_are_fair_and_independent_of_each_other():
    stream = share(batch_size=20_000, size=20_000)
    first, second = stream.coins().numpy(), stream.coins().numpy()
    assert first.mean() == pytest.approx(0.5, abs=0.015)
    assert (first == second).mean() == pytest.approx(0.5, abs=0.015)
    assert (first[1:] == first[:-1]).mean() == pytest.approx(0.5, abs=0.015)


def test_xla_tosses_the_same_coins():
    def call(indices, seed):
        return RandomStream(seed, 64, 0, 64, indices, 0).coins()

    arguments = tf.range(64, dtype=tf.int64), tf.constant([7, 3])
    np.testing.assert_array_equal(call(*arguments), tf.function(call, jit_compile=True)(*arguments))
