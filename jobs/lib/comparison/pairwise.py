"""Models in pairs, on the prompts that both attempted: how far apart they are and whether that is more than chance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib import stats
from jobs.lib.comparison.replies import Scores, by_cluster
from jobs.lib.stats import Estimate

LEVEL = 0.05

#: Fewer clusters than this separate nobody: two or three values that happen to be equal have no spread at all.
MIN_CLUSTERS = 4


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models on the prompts that both attempted."""

    first: str
    second: str
    gap: Estimate | None  #: quality of the first less that of the second; None without a common prompt
    prompts: int
    p: float | None
    sign_flip: stats.SignFlip | None
    p_holm: float | None = None

    @property
    def separated(self) -> bool:
        return self.gap is not None and self.gap.n >= MIN_CLUSTERS and self.p_holm is not None and self.p_holm < LEVEL

    def lead(self, key: str) -> Estimate | None:
        """The gap as `key` sees it: more than 0 where it is the better one."""
        if self.gap is None or key == self.first:
            return self.gap
        low, high = self.gap.low, self.gap.high
        return Estimate(-self.gap.mean, None if high is None else -high, None if low is None else -low, self.gap.n)

    def row(self) -> dict[str, Any]:
        """As the document has it."""
        return {
            "first": self.first,
            "second": self.second,
            "difference": self.gap.mean if self.gap else None,
            "ci": self.gap.interval if self.gap else None,
            "p": self.p,
            "p_holm": self.p_holm,
            "p_sign_flip": self.sign_flip.p if self.sign_flip else None,
            "p_sign_flip_min": self.sign_flip.smallest if self.sign_flip else None,
            "clusters": self.gap.n if self.gap else 0,
            "prompts": self.prompts,
        }


def difference(first: Scores, second: Scores) -> Estimate | None:
    """Quality of the first less that of the second, paired by prompt; None for no common prompt."""
    return stats.clustered_interval(by_cluster(_paired(first, second)))


def _paired(first: Scores, second: Scores) -> dict[tuple[str, int], float]:
    return {prompt: first[prompt] - second[prompt] for prompt in first if prompt in second}


def find_pairs(models: Mapping[str, Scores], ranking: Sequence[str]) -> tuple[Pair, ...]:
    """Every pair of the ranking, tested and adjusted."""
    found = [_pair(one, other, models) for one, other in itertools.combinations(ranking, 2)]
    tested = [pair for pair in found if pair.p is not None]
    adjusted = dict(zip(map(id, tested), stats.holm([pair.p or 0.0 for pair in tested]), strict=True))
    return tuple(Pair(**{**vars(pair), "p_holm": adjusted.get(id(pair))}) for pair in found)


def _pair(first: str, second: str, models: Mapping[str, Scores]) -> Pair:
    paired = _paired(models[first], models[second])
    means = list(stats.cluster_means(by_cluster(paired)).values())
    return Pair(
        first=first,
        second=second,
        gap=stats.t_interval(means),
        prompts=len(paired),
        p=stats.t_p(means),
        sign_flip=stats.sign_flip(means),
    )


def rank(models: Mapping[str, Scores], tiers: Mapping[str, int] | None = None) -> list[str]:
    """Best first: by tier, then by the mean of the paired differences from the others of the tier.

    Where all attempted the same prompts, that is the order of their means. The first given leads among equals.
    """
    tier = {key: (tiers or {}).get(key, 0) for key in models}

    def standing(key: str) -> float:
        rivals = [other for other in models if other != key and tier[other] == tier[key]]
        gaps = (difference(models[key], models[other]) for other in rivals)
        return stats.mean([gap.mean for gap in gaps if gap]) or 0.0

    return sorted(models, key=lambda key: (tier[key], -round(standing(key), 9)))


def between(key: str, other: str, pairs: Sequence[Pair]) -> Pair | None:
    return next((pair for pair in pairs if {pair.first, pair.second} == {key, other}), None)


def beats(key: str, other: str, pairs: Sequence[Pair]) -> bool:
    """Whether `key` is better than `other` beyond chance."""
    pair = between(key, other, pairs)
    lead = pair.lead(key) if pair is not None and pair.separated else None
    return lead is not None and lead.mean > 0


def in_words(p: float | None) -> str:
    """ "p = 0.012", of a p-value that may be unknown."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
