"""Whether configurations differ by more than their seeds do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special, stats

from cnnlab.compare.metrics import Better, format_difference
from cnnlab.errors import UserError

POWER = 0.8
"""Chance of finding a difference as large as the one seen that a number of seeds should give."""

MOST_SEEDS = 1000

NO_SCATTER = 1e-6
"""Values that differ by no more than this share of them are equal: float32 tells no more."""


@dataclass(frozen=True)
class Difference:
    """How a configuration differs from another over the seeds, and the folds, that they share.

    The verdict, the interval and `adjusted` are one statement: 0 lies outside the interval where the pair is
    distinguishable, and only there.

    Attributes:
        configuration, baseline: whose values are subtracted: configuration - baseline.
        n: shared seeds, or folds of seeds.
        mean: of the differences.
        low, high: interval of the mean by Student's t at confidence 1 - level / comparisons (Bonferroni), so that all
            intervals that are given together hold with confidence 1 - level; cut at -1 and 1 for accuracies. NaN for
            fewer than two, and where the differences do not scatter.
        p: of the paired t test, two-sided, uncorrected for other comparisons; NaN where the interval is.
        adjusted: p times `comparisons`, 1 at most.
        distinguishable: whether `adjusted` is below `level`.
        level: 1 - confidence.
        comparisons: how many pairs are corrected for.
        differences: one per shared seed, or fold of a seed.
        held_out: images that validate, for each that trains, see `paired_differences`; 0 where all runs validate on the
            same.
        over: what the differences are of: seeds, or folds.
    """

    configuration: str
    baseline: str
    n: int
    mean: float
    low: float
    high: float
    p: float
    adjusted: float
    distinguishable: bool
    level: float
    comparisons: int
    differences: tuple[float, ...]
    held_out: float
    over: str

    @cached_property
    def needed(self) -> int | None:
        """Seeds, or folds, with which a difference of this size and scatter would be found with a chance of 80 %.

        By the same corrected test, and more than there are; None where it cannot be told.
        """
        needed = seeds_needed(self.differences, 1 - self.level / self.comparisons, self.held_out)
        return None if needed is None else max(needed, self.n + 1)

    def sentence(self, metric: str) -> str:
        """The verdict in words, with the corrected interval and p."""
        runs = self.over
        pair = f"{self.configuration} and {self.baseline}"
        if self.n < 2:
            return f"{pair}: nothing can be said of {metric} with n = {self.n} shared {runs}"
        if math.isnan(self.p):
            difference = format_difference(self.mean, metric)
            seen = f"all n = {self.n} differences are {difference}, and without scatter there is no test"
            return f"{pair}: nothing can be said of {metric}: {seen}"
        interval = format_difference(self.mean, metric, (self.low, self.high))
        if self.distinguishable:
            more = "more" if self.mean > 0 else "less"
            what = f"{self.configuration} has {more} {metric} than {self.baseline}"
            return f"{what}: {interval}, p = {self.adjusted:.2g}, n = {self.n}"
        of_more = ", of more seeds," if runs == "folds" else ""
        needed = f"; about {self.needed} {runs}{of_more} would tell" if self.needed else ""
        what = f"{pair} are not distinguishable in {metric} with n = {self.n}"
        return f"{what}: {interval}, p = {self.adjusted:.2g}{needed}"


def paired_differences(
    runs: pd.DataFrame, metric: str, baseline: str, confidence: float = 0.95, *, chosen: bool = False
) -> list[Difference]:
    """Compare every configuration with one, over the seeds, and the folds of each, that they share.

    Seeds are paired because runs of one seed share their order, their augmentation and, where the initializer allows,
    their starting weights. The differences are taken for normal. After Student, "The probable error of a mean"
    (1908), and Dunn, "Multiple comparisons among means" (1961): Bonferroni's correction, of p and intervals alike.

    Trainings on different folds share images, and so do those of seeds that each draw the images that validate. Their
    differences are not independent, and a plain t test finds too many. For them the variance of the mean is
    (1/n + n_test/n_train) s² instead of s²/n: the corrected resampled t test of Nadeau and Bengio, "Inference for the
    generalization error" (2003); over the folds of several seeds as Bouckaert and Frank do, "Evaluating the
    replicability of significance tests for comparing learning algorithms" (2004).

    Args:
        runs: see `tables.runs_table`; only those that count do.
        metric: a column.
        baseline: the configuration that the others are compared with.
        confidence: of all intervals together; 1 - confidence is the chance of calling any pair different where none is.
        chosen: whether the baseline was chosen by these values, as the best configuration is; then all pairs are
            corrected for, of which the data have picked some, and else those with the baseline.

    Returns:
        One per other configuration, in order of appearance.
    """
    counted = runs[runs["counted"] & runs[metric].notna()]
    observed = [f"{seed}, {fold}" for seed, fold in zip(counted["seed"], counted["fold"], strict=True)]
    table = counted.assign(observed=observed).pivot(index="observed", columns="configuration", values=metric)
    by_run = {str(name): table[name].to_numpy() for name in table}
    others = [name for name in dict.fromkeys(runs["configuration"]) if name != baseline]
    pairs = combinations([baseline, *others], 2) if chosen else ((baseline, name) for name in others)
    comparisons = max(1, sum(len(_shared(by_run, *pair)) >= 2 for pair in pairs))
    bound = 1.0 if metric.endswith("accuracy") else math.inf
    samples = {name: _shared(by_run, name, baseline) for name in others}
    held_out = {name: held_out_share(counted[counted["configuration"].isin([name, baseline])]) for name in others}
    over = "folds" if counted["fold"].notna().any() else "seeds"
    return [
        _difference(name, baseline, sample, 1 - confidence, comparisons, bound, held_out[name], over)
        for name, sample in samples.items()
    ]


def held_out_share(runs: pd.DataFrame) -> float:
    """n_test/n_train of `paired_differences`: the mean over the runs that it is of; 0 where there are none."""
    mean = float(runs["held_out"].mean())
    return 0.0 if math.isnan(mean) else mean


def best_configuration(runs: pd.DataFrame, metric: str, better: Better | None) -> str:
    """The configuration with the best mean of a metric.

    Among those with two seeds or more where there are any: with one nothing can be compared.

    Args:
        runs: see `tables.runs_table`.
        metric: a column.
        better: what counts as better of it; None where that is not known.

    Raises:
        UserError: no run that counts has the metric, or it is not known what is better.
    """
    if better is None:
        raise UserError(f"by={metric}: whether less or more is better is not known; give baseline=CONFIGURATION")
    groups = runs[runs["counted"]].groupby("configuration", sort=False)[metric].agg(["mean", "count"]).dropna()
    several = groups[groups["count"] >= 2]
    means = (several if len(several) else groups)["mean"]
    if means.empty:
        raise UserError(f"by={metric}: no run that counts has it")
    return str(means.idxmin() if better == "min" else means.idxmax())


def mean_interval(
    values: Sequence[float] | pd.Series, metric: str, confidence: float = 0.95, held_out: float = 0.0
) -> tuple[float, float]:
    """A confidence interval of the mean over seeds, or folds of seeds, that stays within what the metric can be.

    Student's t on the scale of the logit of an accuracy, the logarithm of a loss, and any other metric itself:
    f(mean) ± t · s / √n · f'(mean), turned back. It is what R's survey package calls
    svyciprop(method="xlogit"), and Stata's default for proportions; near 1, where accuracies scatter unevenly, it holds
    the mean more often than the plain interval does.

    Args:
        values: one per seed, or fold of a seed.
        metric: whose name ends with accuracy, from 0 to 1, or loss, from 0 on; of others nothing is known.
        confidence: of the interval.
        held_out: see `held_out_share`; it widens the interval as it does that of a difference.

    Returns:
        low and high; NaN for fewer than two values, and for values without scatter.
    """
    count = len(values)
    if count < 2 or not _scatters(np.asarray(values)):
        return math.nan, math.nan
    mean = float(np.mean(values))
    half = _half_width(np.asarray(values), 1 - confidence, held_out)
    if metric.endswith("accuracy"):
        middle, half = special.logit(mean), half / (mean * (1 - mean))
        return float(special.expit(middle - half)), float(special.expit(middle + half))
    if not metric.endswith("loss"):
        return mean - half, mean + half
    factor = math.exp(min(half / mean, 700.0))
    return mean / factor, mean * factor


def seeds_needed(differences: Sequence[float], confidence: float = 0.95, held_out: float = 0.0) -> int | None:
    """Seeds, or folds, that would show a mean difference of the observed size and sign with the observed scatter.

    Args:
        differences: one per shared seed, or fold of a seed.
        confidence: 1 - the level of the test.
        held_out: see `held_out_share`; the larger, the less more seeds can tell.

    Returns:
        None for fewer than two differences, for no difference, without scatter, or beyond a thousand.
    """
    if len(differences) < 2 or not _scatters(np.asarray(differences)):
        return None
    effect = abs(np.mean(differences)) / np.std(differences, ddof=1)
    if effect == 0:
        return None
    counts = np.arange(2, MOST_SEEDS + 1)
    critical = stats.t.ppf((1 + confidence) / 2, counts - 1)
    enough = stats.nct.sf(critical, counts - 1, effect / np.sqrt(1 / counts + held_out)) >= POWER
    return int(counts[enough][0]) if enough.any() else None


def _shared(by_run: Mapping[str, np.ndarray], configuration: str, baseline: str) -> np.ndarray:
    """configuration - baseline for each seed that both have; 0 where float32 would tell them apart no more."""
    if configuration not in by_run or baseline not in by_run:
        return np.empty(0)
    ours, theirs = by_run[configuration], by_run[baseline]
    differences = np.where(np.isclose(ours, theirs, rtol=NO_SCATTER, atol=0), 0, ours - theirs)
    return differences[~np.isnan(differences)]


def _scatters(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > NO_SCATTER * np.abs(values).max())


def _difference(
    configuration: str,
    baseline: str,
    sample: np.ndarray,
    level: float,
    comparisons: int,
    bound: float,
    held_out: float,
    over: str,
) -> Difference:
    mean = float(sample.mean()) if len(sample) else math.nan
    low = high = p = math.nan
    if len(sample) >= 2 and _scatters(sample):
        half = _half_width(sample, level / comparisons, held_out)
        low, high = max(mean - half, -bound), min(mean + half, bound)
        p = 2 * float(stats.t.sf(abs(mean) / _standard_error(sample, held_out), len(sample) - 1))
    elif len(sample) >= 2 and mean == 0:  # equal in every seed
        low, high, p = mean, mean, 1.0
    adjusted = min(1.0, p * comparisons) if not math.isnan(p) else math.nan
    known = (len(sample), mean, low, high, p, adjusted, adjusted < level)
    return Difference(configuration, baseline, *known, level, comparisons, tuple(sample.tolist()), held_out, over)


def _half_width(sample: np.ndarray, level: float, held_out: float) -> float:
    """Of Student's interval of the mean."""
    return float(stats.t.isf(level / 2, len(sample) - 1)) * _standard_error(sample, held_out)


def _standard_error(sample: np.ndarray, held_out: float) -> float:
    """Of the mean of a sample; where `held_out` is above 0, of runs that share images to train on."""
    return float(sample.std(ddof=1)) * math.sqrt(1 / len(sample) + held_out)
