"""Which examples a step takes."""

import numpy as np

from cnnlab.data.sampler import PADDING, BalancedSampler, EvaluationSampler, TrainingSampler


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


def test_too_few_evaluation_steps_for_all_take_examples_at_equal_distances():
    sampler = EvaluationSampler(size=100, batch_size=5, steps=2)
    assert [*sampler.batch(0), *sampler.batch(1)] == [*range(0, 100, 10)]


LABELS = np.array([0] * 50 + [1] * 7 + [3] * 4)  # no example of 2


def passes(sampler: BalancedSampler, count: int) -> np.ndarray:
    """The examples of the first passes, a row each."""
    batches = [sampler.batch(step) for step in range(count * sampler.batches_per_pass)]
    return np.concatenate(batches).reshape(count, -1)


def test_balanced_classes_are_drawn_equally_often_and_the_remainder_takes_turns():
    found = passes(BalancedSampler(LABELS, batch_size=10, seed=0), 30)
    assert found.shape == (30, 60)
    for drawn in found:
        assert np.bincount(LABELS[drawn], minlength=4).tolist() == [20, 20, 0, 20]
    uneven = passes(BalancedSampler(LABELS, batch_size=61, seed=0), 3)
    counts = [np.bincount(LABELS[drawn], minlength=4).tolist() for drawn in uneven]
    assert sorted(max(row) for row in counts) == [21, 21, 21]
    assert np.sum(counts, axis=0).tolist() == [61, 61, 0, 61]


def test_a_balanced_class_runs_through_whole_permutations():
    found = passes(BalancedSampler(LABELS, batch_size=10, seed=0), 42)  # 840 draws of each class
    for label, rounds in ((0, 16), (1, 120), (3, 210)):
        counts = np.bincount(found.reshape(-1), minlength=len(LABELS))[label == LABELS]
        assert counts.min() >= rounds
        assert counts.max() <= rounds + 1
    first = found[0][LABELS[found[0]] == 0]
    assert len(set(first.tolist())) == 20


def test_a_balanced_step_takes_the_same_examples_whatever_was_asked_for_before():
    forward = BalancedSampler(LABELS, batch_size=8, seed=3)
    batches = [forward.batch(step) for step in range(40)]
    fresh = BalancedSampler(LABELS, batch_size=8, seed=3)
    for step in (37, 2, 39, 0):
        np.testing.assert_array_equal(fresh.batch(step), batches[step])


def test_balanced_passes_differ_and_seeds_differ_and_classes_are_mixed():
    order = BalancedSampler(LABELS, batch_size=60, seed=1)
    assert not np.array_equal(order.batch(0), order.batch(1))
    assert not np.array_equal(order.batch(0), BalancedSampler(LABELS, 60, seed=2).batch(0))
    assert len(set(LABELS[order.batch(0)[:10]])) > 1
    assert (np.diff(LABELS[order.batch(0)]) != 0).sum() < 59  # no class after the other in turn


def test_classes_of_one_example_are_drawn_over_and_over():
    found = passes(BalancedSampler(np.array([0, 1, 1, 1, 1, 1]), batch_size=3, seed=0), 10)
    assert (found == 0).sum() == 30
