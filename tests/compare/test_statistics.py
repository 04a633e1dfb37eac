"""What a comparison says of simulated runs whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cnnlab.compare.statistics import best_configuration, mean_interval, paired_differences, seeds_needed
from cnnlab.errors import UserError


def simulated(rng, effects: dict[str, float], seeds: int, scatter: float = 0.01) -> pd.DataFrame:
    """Runs: a value per seed that all configurations share, an effect per configuration, and noise."""
    shared = rng.normal(0.8, 0.05, seeds)
    rows = [
        (configuration, seed, None, True, np.nan, shared[seed] + effect + rng.normal(0, scatter))
        for configuration, effect in effects.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["configuration", "seed", "fold", "counted", "held_out", "accuracy"])


EFFECTS = {"a": 0.0, "b": 0.02, "c": 0.0, "d": -0.01}
REPETITIONS = 100


@pytest.mark.parametrize("chosen", [False, True], ids=["baseline given", "the best is the baseline"])
def test_all_intervals_together_hold_the_true_differences_as_often_as_they_promise(chosen):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(REPETITIONS):
        runs = simulated(rng, EFFECTS, 4)
        baseline = best_configuration(runs, "accuracy", "max") if chosen else "a"
        found = paired_differences(runs, "accuracy", baseline, chosen=chosen)
        held += all(each.low <= EFFECTS[each.configuration] - EFFECTS[baseline] <= each.high for each in found)
    assert stats.binomtest(held, REPETITIONS, 0.95, alternative="less").pvalue > 0.001


@pytest.mark.parametrize("chosen", [False, True], ids=["baseline given", "the best is the baseline"])
def test_where_nothing_differs_any_of_six_configurations_is_called_different_in_at_most_5_percent(chosen):
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(REPETITIONS):
        runs = simulated(rng, dict.fromkeys("abcdef", 0.0), 5)
        baseline = best_configuration(runs, "accuracy", "max") if chosen else "a"
        found = paired_differences(runs, "accuracy", baseline, chosen=chosen)
        alarms += any(each.distinguishable for each in found)
    assert stats.binomtest(alarms, REPETITIONS, 0.05, alternative="greater").pvalue > 0.01


def test_what_differs_is_told_at_any_scale_and_what_float32_rounds_is_equal():
    rng = np.random.default_rng(3)
    for scale in (1.0, 1e-7):
        values = scale * np.concatenate([rng.normal(1, 0.05, 5), rng.normal(9, 0.4, 5)])
        runs = pd.DataFrame({"configuration": ["a"] * 5 + ["b"] * 5, "final_mse": values})
        runs = runs.assign(seed=[*range(5)] * 2, fold=None, counted=True, held_out=np.nan)
        (found,) = paired_differences(runs, "final_mse", "a")
        assert found.distinguishable, scale
        low, high = mean_interval(runs["final_mse"][:5], "final_mse")
        assert 0.8 * scale < low < high < 1.2 * scale
        rounded = runs.assign(final_mse=scale * np.float32(0.1) * (1 + 3e-8 * rng.integers(0, 2, 10)))
        (found,) = paired_differences(rounded, "final_mse", "a")
        assert (found.mean, found.adjusted) == (0, 1)


def test_a_pair_is_called_different_exactly_where_its_interval_excludes_0():
    rng = np.random.default_rng(10)
    found = [
        each
        for _ in range(50)
        for chosen in (False, True)
        for each in paired_differences(simulated(rng, EFFECTS, 3, scatter=0.004), "accuracy", "a", chosen=chosen)
    ]
    different = [each.distinguishable for each in found]
    assert 25 < sum(different) < len(found) - 25
    assert different == [each.low > 0 or each.high < 0 for each in found]
    assert different == [each.adjusted < 0.05 for each in found]


def test_all_pairs_are_corrected_for_where_the_data_chose_the_baseline_and_else_those_with_it():
    runs = simulated(np.random.default_rng(11), EFFECTS, 3)
    given, chosen = (paired_differences(runs, "accuracy", "b", chosen=chosen) for chosen in (False, True))
    assert ({each.comparisons for each in given}, {each.comparisons for each in chosen}) == ({3}, {6})
    for pairs in (given, chosen):
        for each in pairs:
            assert each.adjusted == pytest.approx(min(1.0, each.p * each.comparisons))
    lone = runs[
        (runs["configuration"] != "d") | (runs["seed"] == 0)
    ]  # one seed is no test, so there is nothing to correct for
    assert {each.comparisons for each in paired_differences(lone, "accuracy", "b", chosen=True)} == {3}


def test_a_difference_of_accuracies_lies_within_minus_1_and_1():
    runs = simulated(np.random.default_rng(12), {"a": 0.0, "b": -0.2}, 2, scatter=0.1)
    (found,) = paired_differences(runs, "accuracy", "a")
    assert (found.low, found.high) == (-1.0, 1.0)
    runs["loss"] = 100 * runs["accuracy"]
    assert paired_differences(runs, "loss", "a")[0].low < -1.0


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize(("mean", "scatter"), [(0.95, 0.02), (0.6, 0.1)])
def test_an_interval_of_a_mean_accuracy_holds_it_as_often_as_it_promises_and_stays_within_0_and_1(mean, scatter, seeds):
    rng = np.random.default_rng(13)
    size = mean * (1 - mean) / scatter**2 - 1
    intervals = [
        mean_interval(values, "accuracy") for values in rng.beta(mean * size, (1 - mean) * size, (1000, seeds))
    ]
    assert all(0 < low < high < 1 for low, high in intervals)
    held = sum(low <= mean <= high for low, high in intervals)
    assert stats.binomtest(held, 1000, 0.95).pvalue > 0.001


def test_two_seeds_far_apart_leave_a_wide_interval_of_what_is_possible():
    low, high = mean_interval([0.2, 0.5], "final_val_accuracy")
    assert 0 < low < 0.01
    assert 0.99 < high < 1
    low, high = mean_interval([0.1, 2.0], "final_loss")
    assert 0 <= low < 0.1
    assert high > 2.0


@pytest.mark.parametrize("values", [[0.5], [1.0, 1.0], [0.1, 0.1, 0.1]])
def test_one_seed_or_no_scatter_has_no_interval(values):
    assert np.isnan(mean_interval(values, "accuracy")).all()


def test_a_large_effect_is_found_whatever_the_seeds_share():
    (found,) = paired_differences(simulated(np.random.default_rng(2), {"a": 0.0, "b": 0.1}, 5), "accuracy", "a")
    assert found.distinguishable
    assert found.low < 0.1 < found.high
    assert found.sentence("accuracy").startswith("b has more accuracy than a: +9.")


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


def test_only_shared_seeds_of_runs_that_count_do():
    runs = simulated(np.random.default_rng(5), {"a": 0.0, "b": 0.1}, 4)
    runs.loc[(runs["configuration"] == "b") & (runs["seed"] == 0), "counted"] = False
    runs.loc[(runs["configuration"] == "a") & (runs["seed"] == 1), "seed"] = 99
    (found,) = paired_differences(runs, "accuracy", "a")
    assert found.n == 2


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_says_nothing(seeds):
    runs = simulated(np.random.default_rng(6), {"a": 0.0, "b": 0.1}, max(1, seeds))
    if not seeds:
        runs.loc[runs["configuration"] == "b", "counted"] = False
    (found,) = paired_differences(runs, "accuracy", "a")
    assert not found.distinguishable
    assert f"nothing can be said of accuracy with n = {seeds}" in found.sentence("accuracy")


def test_equal_runs_are_not_different():
    runs = simulated(np.random.default_rng(7), {"a": 0.0, "b": 0.0}, 3, scatter=0.0)
    (found,) = paired_differences(runs, "accuracy", "a")
    assert (found.distinguishable, found.p) == (False, 1.0)


def test_differences_that_do_not_scatter_prove_nothing():
    runs = simulated(np.random.default_rng(7), {"a": 0.0, "b": 0.01}, 3, scatter=0.0)
    (found,) = paired_differences(runs, "accuracy", "a")
    assert not found.distinguishable
    assert np.isnan([found.p, found.low, found.high]).all()
    assert "nothing can be said of accuracy: all n = 3 differences are +1.00 points" in found.sentence("accuracy")
    assert seeds_needed(found.differences) is None


def test_where_it_is_close_the_seeds_that_would_tell_are_more_than_there_are():
    runs = simulated(np.random.default_rng(0), {"a": 0.0, "b": 0.02}, 4, scatter=0.01)
    for scale in np.linspace(0.9, 1.1, 10):
        stretched = runs.assign(
            accuracy=np.where(runs["configuration"] == "b", runs["accuracy"] * scale, runs["accuracy"])
        )
        for found in paired_differences(stretched, "accuracy", "a"):
            assert found.needed is None or found.needed > found.n


def test_the_best_configuration_has_the_highest_accuracy_or_the_lowest_loss():
    runs = simulated(np.random.default_rng(8), {"a": 0.0, "b": 0.1}, 3)
    runs["loss"] = -runs["accuracy"]
    assert (best_configuration(runs, "accuracy", "max"), best_configuration(runs, "loss", "min")) == ("b", "b")
    runs["counted"] = False
    with pytest.raises(UserError, match=r"^by=accuracy: no run that counts has it$"):
        best_configuration(runs, "accuracy", "max")


def test_the_best_of_several_seeds_is_preferred_to_a_lucky_one():
    runs = simulated(np.random.default_rng(9), {"a": 0.0, "b": 0.01, "c": 0.1}, 3)
    runs.loc[(runs["configuration"] == "c") & (runs["seed"] > 0), "counted"] = False
    assert best_configuration(runs, "accuracy", "max") == "b"


# folds

HAND = pd.DataFrame(
    [
        (name, 0, f"{fold} of 5", True, 0.25, value)
        for name, values in {"a": [0.80, 0.82, 0.78, 0.81, 0.79], "b": [0.84, 0.83, 0.82, 0.86, 0.80]}.items()
        for fold, value in enumerate(values)
    ],
    columns=["configuration", "seed", "fold", "counted", "held_out", "accuracy"],
)


def test_folds_are_compared_by_nadeau_and_bengios_test_as_by_hand():
    (found,) = paired_differences(HAND, "accuracy", "a")
    # Differences 4, 1, 4, 5, 1 points: mean 3, variance (1 + 4 + 1 + 4 + 4) / 4 = 3.5; t = 3 / √((1/5 + 1/4) · 3.5).
    t = 3 / np.sqrt(0.45 * 3.5)
    assert t == pytest.approx(2.3905, abs=1e-4)
    assert (found.n, found.mean) == (5, pytest.approx(0.03))
    assert found.p == pytest.approx(2 * stats.t.sf(t, 4))
    assert found.p == pytest.approx(0.0751, abs=1e-4)  # a plain t test would say 0.023
    assert (found.low, found.high) == pytest.approx((0.03 - 2.7764 * 0.012550, 0.03 + 2.7764 * 0.012550), abs=1e-5)
    assert not found.distinguishable
    assert found.sentence("accuracy").startswith("b and a are not distinguishable in accuracy with n = 5: ")
    assert "folds, of more seeds, would tell" in found.sentence("accuracy")


def test_folds_of_another_division_are_no_pairs():
    other = HAND["configuration"] == "b"
    runs = HAND.assign(fold=HAND["fold"].where(~other, HAND["fold"].str.replace("of 5", "of 10")))
    (found,) = paired_differences(runs, "accuracy", "a")
    assert found.n == 0
    assert found.sentence("accuracy").endswith("nothing can be said of accuracy with n = 0 shared folds")


def test_folds_of_several_seeds_are_pairs_of_their_own():
    (found,) = paired_differences(pd.concat([HAND, HAND.assign(seed=1)]), "accuracy", "a")
    assert found.n == 10


def test_configurations_that_do_not_differ_are_told_apart_by_folds_as_rarely_as_promised():
    """Differences of folds whose training images are mostly the same: correlated by n_test / (n_test + n_train)."""
    rng = np.random.default_rng(3)
    repetitions, correlation, alarms = 3 * REPETITIONS, 0.2, {0.0: 0, 0.25: 0}
    for _ in range(repetitions):
        shared, own = rng.normal(0, 1), rng.normal(0, 1, 5)
        differences = 0.02 * (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)
        for held_out in alarms:
            runs = HAND.assign(held_out=held_out, accuracy=[0.8] * 5 + list(0.8 + differences))
            alarms[held_out] += paired_differences(runs, "accuracy", "a")[0].distinguishable
    assert stats.binomtest(alarms[0.25], repetitions, 0.05, alternative="greater").pvalue > 0.01
    assert stats.binomtest(alarms[0.0], repetitions, 0.05, alternative="greater").pvalue < 0.01


def test_the_interval_of_a_mean_over_folds_is_wider_by_the_same_factor():
    values = [2.0, 2.1, 1.9, 2.05, 1.95]
    plain, widened = (np.log(mean_interval(values, "loss", held_out=held_out)) for held_out in (0.0, 0.25))
    assert np.ptp(widened) / np.ptp(plain) == pytest.approx(np.sqrt((1 / 5 + 1 / 4) * 5))


def test_more_folds_cannot_find_what_shared_training_images_hide():
    differences = [0.01, 0.03, -0.02, 0.02]
    assert seeds_needed(differences, held_out=0.0) == 39
    assert seeds_needed(differences, held_out=0.25) is None
