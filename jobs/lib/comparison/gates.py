"""Gates that a count must miss beyond chance: one bad reply in a dozen throws no good model out."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.lib import stats

#: Share of replies that may be slower than the limit of the 95th percentile.
SLOW_SHARE = 0.05


@dataclass(frozen=True)
class Count:
    """So many of so many replies."""

    hits: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share; 0 to 1 for no replies."""
        low, high = stats.wilson(self.hits, self.n) or (0.0, 1.0)
        return low, high


def misses_success(complete: Count, least: float) -> bool:
    """Whether the share of complete replies is under `least` beyond chance."""
    return complete.interval[1] < least


def misses_p95(slower: Count) -> bool:
    """Whether more than SLOW_SHARE of the replies are slower than the limit, beyond chance.

    That is the 95th percentile being over the limit, told from counts alone: W. J. Conover, Practical Nonparametric
    Statistics (1999), section 3.2.
    """
    return slower.interval[0] > SLOW_SHARE
