"""Which examples a step takes."""

import numpy as np

from cnnlab.data.sampler import PADDING, EvaluationSampler, TrainingSampler


def test_a_pass_takes_each_example_at_most_once_and_leaves_out_only_the_remainder():
    order = TrainingSampler(size=103, batch_size=10, seed=1)
    seen = np.concatenate([order.batch(step) for step in range(order.batches_per_pass)])
    assert len(seen) == 100
    assert len(set(seen.tolist())) == 100


def test_passes_differ_and_seeds_differ():
    order = TrainingSampler(size=64, batch_size=64, seed=1)
    assert not np.array_equal(order.batch(0), order.batch(1))
    assert not np.array_equal(order.batch(0), TrainingSampler(64, 64, seed=2).batch(0))


def test_a_step_takes_the_same_examples_whatever_was_asked_for_before():
    forward = TrainingSampler(size=50, batch_size=8, seed=3)
    batches = [forward.batch(step) for step in range(20)]
    fresh = TrainingSampler(size=50, batch_size=8, seed=3)
    for step in (17, 2, 19, 0):
        np.testing.assert_array_equal(fresh.batch(step), batches[step])


def test_evaluation_takes_every_example_once_and_pads_the_last_batch():
    order = EvaluationSampler(size=23, batch_size=5)
    indices = np.concatenate([order.batch(step) for step in range(order.steps)])
    assert order.steps == 5
    np.testing.assert_array_equal(indices[:23], np.arange(23))
    np.testing.assert_array_equal(indices[23:], [PADDING, PADDING])


def test_evaluation_can_be_limited_to_some_batches():
    assert EvaluationSampler(size=23, batch_size=5, steps=2).steps == 2
    assert EvaluationSampler(size=23, batch_size=5, steps=99).steps == 5
