"""Differences of models in quality, tested, and the strict winner: better than each other model beyond chance.

"Better than each" is an intersection-union test: the claim holds where every one of its parts does, each tested at the
full level without a correction (R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling",
Technometrics 24 (1982) 295-300). Letters that tell which models differ are another claim, and need Holm's.

The comparison is drawn up after every round. So that looking often names no false winner, looks before the last have a
level that costs next to nothing (J. L. Haybittle, Brit. J. Radiol. 44 (1971) 793-797; R. Peto et al., Brit. J. Cancer
34 (1976) 585-612); both levels together stay under 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison.measures import Floats, Quality, variance_of_difference

LEVEL = 0.05
INTERIM_LEVEL = 0.001
#: With few conversations the test is a little liberal (5.7 % at a level of 5 %), and the looks before cost 0.3 %. At
#: 0.03 two equal models give a winner in 3.5 % of nights (`python -m benchmarks decision`).
LAST_LEVEL = 0.03


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Quality of `first` less that of `second`; interval and p are None where a variance was not observed."""

    first: int
    second: int
    gap: float
    interval: tuple[float, float] | None
    p: float | None  #: two-sided


def differences(quality: Quality, confidence: float = 1 - LEVEL) -> list[Difference]:
    """Every pair of models that have a value, the earlier one first."""
    from scipy.special import stdtrit

    known = np.flatnonzero(np.isfinite(quality.value))
    errors, p_values = np.sqrt(variance_of_difference(quality.covariance)), p_of_differences(quality)
    pairs = []
    for first, second in combinations([int(model) for model in known], 2):
        gap = float(quality.value[first] - quality.value[second])
        reach = float(stdtrit(quality.degrees[first, second], 0.5 + confidence / 2) * errors[first, second])
        tested = bool(quality.tested[first] and quality.tested[second])
        interval = (gap - reach, gap + reach) if tested else None
        p = float(p_values[first, second]) if tested else None
        pairs.append(Difference(first=first, second=second, gap=gap, interval=interval, p=p))
    return pairs


def p_of_differences(quality: Quality) -> Floats:
    """Two-sided p of each difference being 0, models x models; 1 on the diagonal.

    Student's t of the paired difference; the degrees of freedom are those of `Quality.degrees`.
    """
    from scipy.special import stdtr

    gaps = np.abs(np.subtract.outer(quality.value, quality.value))
    errors = np.sqrt(np.maximum(variance_of_difference(quality.covariance), 0.0))
    t = np.divide(gaps, errors, out=np.zeros_like(gaps), where=errors > 0)
    return np.asarray(2 * stdtr(quality.degrees, -t))


def strict_winner(quality: Quality, family: NDArray[np.bool_], *, is_last: bool) -> int | None:
    """The model of the family that is better than each other one, or None.

    `family` marks the models that pass the gates and were asked in the last round. One that was left out earlier was
    judged then, at the level of the elimination, and blocks nobody. `is_last`: no further round will come.
    """
    members = np.flatnonzero(family & np.isfinite(quality.value))
    if len(members) < 2 or not quality.tested[members].all():
        return None
    leader = int(members[np.argmax(quality.value[members])])
    others = members[members != leader]
    level = LAST_LEVEL if is_last else INTERIM_LEVEL
    return leader if bool((p_of_differences(quality)[leader, others] < level).all()) else None


def chance_above(quality: Quality, reference: int) -> Floats:
    """For each model the chance that its quality is above that of the row `reference`, a canned reply say.

    One minus the one-sided p of the paired t test: not drawn towards the other models, of whom the reference is none.
    """
    from scipy.special import stdtr

    gaps = quality.value - quality.value[reference]
    errors = np.sqrt(np.maximum(variance_of_difference(quality.covariance)[reference], 1e-12))
    return np.asarray(np.where(np.isfinite(gaps), stdtr(quality.degrees[reference], gaps / errors), 0.0))
