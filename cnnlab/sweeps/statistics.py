"""Whether arms differ by more than their seeds do."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

POWER = 0.8
"""Chance of finding a difference as large as the one seen that a number of seeds should give."""

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Difference:
    """How an arm differs from another over the seeds they share.

    Attributes:
        arm, baseline: whose values are subtracted: arm - baseline.
        n: shared seeds.
        mean: of the differences.
        low, high: confidence interval of it by Student's t, for this pair alone; NaN for fewer than two seeds.
        p: of the paired t test, two-sided; NaN for fewer than two seeds.
        adjusted: p by Holm's step-down method over all pairs that are compared together.
        distinguishable: whether `adjusted` is below 1 - confidence.
        level: 1 - confidence.
        differences: one per shared seed.
    """

    arm: str
    baseline: str
    n: int
    mean: float
    low: float
    high: float
    p: float
    adjusted: float
    distinguishable: bool
    level: float
    differences: tuple[float, ...]

    @cached_property
    def needed(self) -> int | None:
        """Seeds with which a difference of this size and scatter would be found with a chance of 80 %.

        At the same level, uncorrected; None where it cannot be told.
        """
        return seeds_needed(self.differences, 1 - self.level)

    def sentence(self, metric: str) -> str:
        """The verdict in words: by the corrected p, beside the interval of this pair alone."""
        if self.n < 2:
            return f"{self.arm} and {self.baseline}: nothing can be said of {metric} with n = {self.n} shared seeds"
        interval = f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"
        if self.distinguishable:
            more = "more" if self.mean > 0 else "less"
            what = f"{self.arm} has {more} {metric} than {self.baseline}"
            return f"{what}: {interval}, p = {self.adjusted:.2g}, n = {self.n}"
        needed = f"; about {self.needed} seeds would tell" if self.needed else ""
        what = f"{self.arm} and {self.baseline} are not distinguishable in {metric} with n = {self.n}"
        return f"{what}: {interval}, p = {self.adjusted:.2g}{needed}"


def paired_differences(runs: pd.DataFrame, metric: str, baseline: str, confidence: float = 0.95) -> list[Difference]:
    """Compare every arm with one, over the seeds they share.

    Seeds are paired because runs of one seed share their order, their augmentation and, where the initializer allows,
    their starting weights. The differences are taken for normal. After Student, "The probable error of a mean"
    (1908), and Holm, "A simple sequentially rejective multiple test procedure" (1979).

    Args:
        runs: see `tables.runs_table`; those that are not done do not count.
        metric: a column.
        baseline: the arm that the others are compared with.
        confidence: of the intervals; 1 - confidence is the chance of calling any pair different where none is.

    Returns:
        One per other arm, in order of appearance.
    """
    done = runs[(runs["status"] == "done") & runs[metric].notna()]
    by_seed = done.pivot_table(index="seed", columns="arm", values=metric, aggfunc="mean")
    arms = [arm for arm in dict.fromkeys(runs["arm"]) if arm != baseline]
    samples = [_shared(by_seed, arm, baseline) for arm in arms]
    p_values = np.array([_p_value(sample) for sample in samples])
    adjusted, known = np.full(len(arms), np.nan), ~np.isnan(p_values)
    if known.any():
        adjusted[known] = multipletests(p_values[known], method="holm")[1]
    rows = zip(arms, samples, p_values, adjusted, strict=True)
    return [_difference(arm, baseline, sample, p, holm, confidence) for arm, sample, p, holm in rows]


def best_arm(runs: pd.DataFrame, metric: str) -> str | None:
    """The arm with the best mean of a metric; None where no run is done."""
    means = runs[runs["status"] == "done"].groupby("arm")[metric].mean().dropna()
    if means.empty:
        return None
    return means.idxmin() if metric.endswith("loss") else means.idxmax()


def seeds_needed(differences: Sequence[float], confidence: float = 0.95) -> int | None:
    """Seeds that would show a mean difference of the observed size with the observed scatter.

    Args:
        differences: one per shared seed.
        confidence: 1 - the level of the test.

    Returns:
        None for fewer than two differences, for no difference, or beyond a thousand.
    """
    if len(differences) < 2:
        return None
    deviation, mean = np.std(differences, ddof=1), abs(np.mean(differences))
    if mean == 0:
        return None
    if deviation == 0:
        return 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it does not converge it says so, and returns what is no number
        found = TTestPower().solve_power(effect_size=mean / deviation, alpha=1 - confidence, power=POWER)
    needed = math.ceil(float(np.squeeze(found))) if np.isfinite(found).all() else MOST_SEEDS + 1
    return max(2, needed) if needed <= MOST_SEEDS else None


def _shared(by_seed: pd.DataFrame, arm: str, baseline: str) -> np.ndarray:
    if arm not in by_seed or baseline not in by_seed:
        return np.empty(0)
    return (by_seed[arm] - by_seed[baseline]).dropna().to_numpy()


def _p_value(sample: np.ndarray) -> float:
    if len(sample) < 2:
        return float("nan")
    if np.ptp(sample) == 0:  # equal to the last bit: no scatter to compare with
        return 1.0 if sample[0] == 0 else 0.0
    return float(stats.ttest_1samp(sample, 0.0).pvalue)


def _difference(
    arm: str, baseline: str, sample: np.ndarray, p: float, adjusted: float, confidence: float
) -> Difference:
    count, mean = len(sample), float(sample.mean()) if len(sample) else float("nan")
    low = high = float("nan")
    if count >= 2:
        half = stats.t.ppf((1 + confidence) / 2, count - 1) * sample.std(ddof=1) / count**0.5
        low, high = mean - half, mean + half
    different = bool(adjusted < 1 - confidence)
    known = (count, mean, float(low), float(high), float(p), float(adjusted), different)
    return Difference(arm, baseline, *known, 1 - confidence, tuple(sample.tolist()))
