"""Intervals, quantiles and tests for small, clustered samples, each with its source.

Every function takes plain Python numbers and returns plain Python numbers, so that a result can go into JSON
as it is. Whatever cannot be estimated is None, never NaN.

Quantiles and tails come from scipy.special. scipy.stats has more of these tests ready, but importing it takes 1.0 s of
processor time and 99 MB where scipy.special takes 0.3 s and 52 MB, and `jarvisctl vote` and `report` would wait for it.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95

#: Below this many values the 95th percentile is hardly more than the largest one, so it is not given.
P95_NEEDS = 20

#: Up to this many values every flip of signs is counted; above it, this many random ones.
EXACT_FLIPS = 16
FLIPS = 9_999

#: A difference that needs more clusters than this cannot be detected by asking more prompts.
MOST_CLUSTERS = 5_000

#: Differences are rounded to this many digits: sums of the same fractions in another order must count as
#: equal.
_DIGITS = 12


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; `low` and `high` are None where `n` is too small for one."""

    mean: float
    low: float | None
    high: float | None
    n: int  #: independent values (clusters), not single observations

    @property
    def interval(self) -> list[float] | None:
        return None if self.low is None or self.high is None else [self.low, self.high]

    @property
    def above_zero(self) -> bool:
        return self.low is not None and self.low > 0

    @property
    def below_zero(self) -> bool:
        return self.high is not None and self.high < 0


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> list[float] | None:
    """Score interval of a proportion, as two shares; None for n = 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927)
    209-212. Unlike the normal approximation it stays inside 0..1 and does not collapse at 0 of n or n of n.
    """
    if n == 0:
        return None
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, square = successes / n, z * z
    middle = share + square / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = ((middle + sign * spread) / (1 + square / n) for sign in (-1, 1))
    return [0.0 if successes == 0 else max(0.0, low), 1.0 if successes == n else min(1.0, high)]


def exact_low(successes: int, n: int, alpha: float) -> float:
    """Lower end of the exact interval of a proportion: the share p at which P(X >= successes) = alpha; 0 for none.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404-413. A true share below it is claimed with a chance of at
    most alpha. Standard library only.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n}")
    low, high = 0.0, successes / n if n else 0.0
    for _ in range(50 if successes else 0):
        middle = (low + high) / 2
        if _tail(successes, n, middle) > alpha:
            high = middle
        else:
            low = middle
    return low


def _tail(successes: int, n: int, share: float) -> float:
    """P(X >= successes) of a binomial X with n trials, 0 < share < 1."""
    if share <= 0:
        return 0.0
    odds, rest = math.log(share), math.log1p(-share)
    whole = math.lgamma(n + 1)
    return sum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * odds + (n - k) * rest)
        for k in range(successes, n + 1)
    )


def clip_interval(ends: Sequence[float] | None, low: float = 0.0, high: float = 1.0) -> list[float] | None:
    """The part of an interval that lies between `low` and `high`, where the mean itself must lie."""
    return None if ends is None else [min(high, max(low, end)) for end in ends]


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """Mean of independent values with Student's t interval, n - 1 degrees of freedom; None for no values.

    "Student", "The probable error of a mean", Biometrika 6 (1908) 1-25. With fewer than two values there is
    a mean and no interval; values that are all equal have the interval [mean, mean].
    """
    n = len(values)
    if n == 0:
        return None
    mean = round(math.fsum(values) / n, _DIGITS)
    if n == 1:
        return Estimate(mean, None, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    spread = _t_quantile(confidence, n - 1) * math.sqrt(variance / n)
    return Estimate(mean, round(mean - spread, _DIGITS), round(mean + spread, _DIGITS), n)


def _t_quantile(confidence: float, degrees: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))


def cluster_means(values: Mapping[str, Iterable[float]]) -> dict[str, float]:
    """The mean of each cluster that has values: cluster -> mean."""
    lists = {cluster: list(members) for cluster, members in values.items()}
    return {cluster: round(math.fsum(members) / len(members), _DIGITS) for cluster, members in lists.items() if members}


def clustered_interval(values: Mapping[str, Iterable[float]], confidence: float = CONFIDENCE) -> Estimate | None:
    """Mean over clusters with a t interval over the cluster means, (clusters - 1) degrees of freedom.

    `values` is cluster -> observations. Observations of one cluster are alike, so the cluster is what counts
    as independent: E. Miller, "Adding error bars to evals", arXiv 2411.00640 (2024), section 2.2, with the
    small-sample t instead of the normal quantile. For five clusters it holds its 95 %, which a bootstrap of
    five does not.
    """
    return t_interval(list(cluster_means(values).values()), confidence)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Quantile by linear interpolation between order statistics; None for no values.

    Type 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The American Statistician
    50 (1996) 361-365: the default of numpy and R.
    """
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two middle ones."""
    return quantile(values, 0.5)


def p95(values: Sequence[float]) -> float | None:
    """The 95th percentile, or None below P95_NEEDS values, where it would be little more than the maximum."""
    return quantile(values, 0.95) if len(values) >= P95_NEEDS else None


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean; None for no values."""
    return math.fsum(values) / len(values) if values else None


# --------------------------------------------------------------------------------------------- tests of differences


def t_p(values: Sequence[float]) -> float | None:
    """Two-sided p that independent values have the mean 0, Student's t on n - 1 degrees; None below two values.

    "Student" (1908), as in `t_interval`: p < 0.05 exactly where the 95 % interval excludes 0. Values that are all
    equal have no spread: p is 1 where they are 0, else 0.
    """
    estimate = t_interval(values)
    if estimate is None or estimate.low is None:
        return None
    variance = math.fsum((value - estimate.mean) ** 2 for value in values) / (len(values) - 1)
    if estimate.mean == 0:
        return 1.0
    error = math.sqrt(variance / len(values))
    if error < 10**-_DIGITS:
        return 0.0
    from scipy.special import stdtr

    return min(1.0, 2 * float(stdtr(len(values) - 1, -abs(estimate.mean) / error)))


@dataclass(frozen=True)
class SignFlip:
    """A p-value and the smallest one that so many values could have given."""

    p: float
    smallest: float


def sign_flip(values: Sequence[float], seed: int = 20261122) -> SignFlip | None:
    """Two-sided randomisation test of a mean of 0: how often random signs give a sum as far from 0; None for none.

    R. A. Fisher, The Design of Experiments (1935), section 21. Exact to EXACT_FLIPS values, where the smallest
    possible p is 2 / 2^n; above that FLIPS random ones, and p = (b + 1) / (m + 1) after B. Phipson and G. K. Smyth,
    "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9 (2010) article 39.
    """
    import numpy as np

    n = len(values)
    if n == 0:
        return None
    numbers = np.asarray(values, dtype=float)
    reach = abs(math.fsum(values)) - 10**-_DIGITS  # sums of the same numbers in another order count as equal
    if n <= EXACT_FLIPS:
        # One sign can stay fixed: the mirror image of every flip is as far from 0.
        flips = 1 - 2 * (np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1)
        return SignFlip(float(np.mean(np.abs(flips @ numbers) >= reach)), 2.0 ** (1 - n))
    flips = 1 - 2 * np.random.default_rng(seed).integers(0, 2, (FLIPS, n))
    beyond = int(np.sum(np.abs(flips @ numbers) >= reach))
    return SignFlip((beyond + 1) / (FLIPS + 1), max(2.0 ** (1 - n), 1 / (FLIPS + 1)))


def binomial_p(wins: int, losses: int) -> float:
    """Two-sided p that a fair coin divides so many throws so unequally, or more; 1 for none.

    The exact sign test: J. Arbuthnot, Phil. Trans. 27 (1710) 186-190; W. J. Conover, Practical Nonparametric
    Statistics (1999), section 3.4.
    """
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(max(wins, losses), n + 1))
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for being several, in their order: each is compared with 0.05 as it is.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979) 65-70: the
    chance of even one false rejection stays under the level, however the tests depend on one another.
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = floor
    return adjusted


def compact_letter_display(keys: Sequence[str], separated: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Tie groups as letters, "a" for the group of the first key: two keys share one unless they are `separated`.

    Insert and absorb: H.-P. Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons",
    J. Comput. Graph. Stat. 13 (2004) 456-466. "Not separated" is not transitive: a key may have two letters.
    """
    columns = [frozenset(keys)]
    for one, other in separated:
        halves = [column - {removed} for column in columns if {one, other} <= column for removed in (one, other)]
        candidates = dict.fromkeys([column for column in columns if not {one, other} <= column] + halves)
        columns = [column for column in candidates if not any(column < rival for rival in candidates)]
    places = {key: place for place, key in enumerate(keys)}
    columns.sort(key=lambda column: sorted(places[key] for key in column))
    names = string.ascii_letters
    return {key: "".join(names[min(i, 51)] for i, column in enumerate(columns) if key in column) for key in keys}


def clusters_needed(difference: float, spread: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """How many clusters a paired t test needs to find a mean `difference`, of which single ones vary by `spread`.

    The usual formula n >= ((t(1 - alpha / 2) + t(power)) * spread / difference)^2 with Student's quantiles on n - 1
    degrees (J. Cohen, Statistical Power Analysis, 1988, chapter 2). None where the difference is 0 or needs more
    than MOST_CLUSTERS. The observed difference is itself uncertain, so this is an order of size, no promise.
    """
    from scipy.special import stdtrit

    for n in range(2, MOST_CLUSTERS + 1) if difference else ():
        quantiles = float(stdtrit(n - 1, 1 - alpha / 2)) + float(stdtrit(n - 1, power))
        if n >= (quantiles * spread / difference) ** 2:
            return n
    return None
