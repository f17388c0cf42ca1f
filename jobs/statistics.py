"""Intervals and quantiles for small, clustered samples, each with its source.

Every function takes plain Python numbers and returns plain Python numbers, so that a result can go into JSON
as it is. Whatever cannot be estimated is None, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95

#: Below this many values the 95th percentile is hardly more than the largest one, so it is not given.
P95_NEEDS = 20

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
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    share, square = successes / n, z * z
    middle = share + square / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    low, high = ((middle + sign * spread) / (1 + square / n) for sign in (-1, 1))
    return [0.0 if successes == 0 else max(0.0, low), 1.0 if successes == n else min(1.0, high)]


def difference(
    successes: int, n: int, other_successes: int, other_n: int, confidence: float = CONFIDENCE
) -> list[float] | None:
    """Interval of the first proportion less the second, of independent samples; None where one of them is empty.

    Method 10 of R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison
    of eleven methods", Statistics in Medicine 17 (1998) 873-890: the Wilson intervals of both, combined.
    """
    one, two = wilson(successes, n, confidence), wilson(other_successes, other_n, confidence)
    if one is None or two is None:
        return None
    a, b = successes / n, other_successes / other_n
    low = a - b - math.hypot(a - one[0], two[1] - b)
    high = a - b + math.hypot(one[1] - a, b - two[0])
    return [low, high]


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
