"""What a comparison says of simulated runs whose truth is known."""

import gc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cnnlab.sweeps.statistics import best_arm, paired_differences, seeds_needed


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect():
    """statsmodels collects garbage in every call, which takes long after TensorFlow has been imported."""
    gc.freeze()
    yield
    gc.unfreeze()


def simulated(rng, effects: dict[str, float], seeds: int, scatter: float = 0.01) -> pd.DataFrame:
    """Runs of several arms: a value per seed that all arms share, an effect per arm, and noise of their own."""
    shared = rng.normal(0.8, 0.05, seeds)
    rows = [
        (arm, seed, "done", shared[seed] + effect + rng.normal(0, scatter))
        for arm, effect in effects.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "status", "accuracy"])


def test_intervals_hold_the_true_difference_as_often_as_they_promise():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        (found,) = paired_differences(simulated(rng, {"a": 0.0, "b": 0.02}, 4), "accuracy", "a")
        held += found.low <= 0.02 <= found.high
    assert stats.binomtest(held, 500, 0.95).pvalue > 0.001


def test_where_nothing_differs_any_of_five_arms_is_called_different_in_at_most_5_percent():
    rng = np.random.default_rng(1)
    effects = dict.fromkeys("abcdef", 0.0)
    alarms = sum(
        any(found.distinguishable for found in paired_differences(simulated(rng, effects, 5), "accuracy", "a"))
        for _ in range(300)
    )
    assert stats.binomtest(alarms, 300, 0.05, alternative="greater").pvalue > 0.001


def test_a_large_effect_is_found_whatever_the_seeds_share():
    (found,) = paired_differences(simulated(np.random.default_rng(2), {"a": 0.0, "b": 0.1}, 5), "accuracy", "a")
    assert found.distinguishable
    assert found.low < 0.1 < found.high
    assert found.sentence("accuracy").startswith("b has more accuracy than a: +0.")


def test_too_few_seeds_are_named_with_how_many_would_tell():
    runs = simulated(np.random.default_rng(3), {"a": 0.0, "b": 0.01}, 3)
    (found,) = paired_differences(runs, "accuracy", "a")
    assert not found.distinguishable
    assert "not distinguishable in accuracy with n = 3" in found.sentence("accuracy")
    assert f"about {found.needed} seeds would tell" in found.sentence("accuracy")


def test_the_seeds_that_are_said_to_be_needed_find_the_effect_four_times_in_five():
    rng = np.random.default_rng(4)
    pilot = rng.normal(0.01, 0.012, 200_000)  # so many that effect and scatter are known
    needed = seeds_needed(pilot)
    tries = rng.normal(0.01, 0.012, (4000, needed))
    found = (stats.ttest_1samp(tries, 0.0, axis=1).pvalue < 0.05).mean()
    assert 0.78 < found < 0.86


def test_only_shared_seeds_of_finished_runs_count():
    runs = simulated(np.random.default_rng(5), {"a": 0.0, "b": 0.1}, 4)
    runs.loc[(runs["arm"] == "b") & (runs["seed"] == 0), "status"] = "diverged"
    runs.loc[(runs["arm"] == "a") & (runs["seed"] == 1), "seed"] = 99
    (found,) = paired_differences(runs, "accuracy", "a")
    assert found.n == 2


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_says_nothing(seeds):
    runs = simulated(np.random.default_rng(6), {"a": 0.0, "b": 0.1}, max(1, seeds))
    if not seeds:
        runs.loc[runs["arm"] == "b", "status"] = "failed"
    (found,) = paired_differences(runs, "accuracy", "a")
    assert not found.distinguishable
    assert f"nothing can be said of accuracy with n = {seeds}" in found.sentence("accuracy")


def test_equal_runs_are_not_different():
    runs = simulated(np.random.default_rng(7), {"a": 0.0, "b": 0.0}, 3, scatter=0.0)
    (found,) = paired_differences(runs, "accuracy", "a")
    assert (found.distinguishable, found.p) == (False, 1.0)


def test_the_best_arm_has_the_highest_accuracy_or_the_lowest_loss():
    runs = simulated(np.random.default_rng(8), {"a": 0.0, "b": 0.1}, 3)
    runs["loss"] = -runs["accuracy"]
    assert (best_arm(runs, "accuracy"), best_arm(runs, "loss")) == ("b", "b")
    runs["status"] = "failed"
    assert best_arm(runs, "accuracy") is None
