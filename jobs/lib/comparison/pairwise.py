"""Models in pairs, on the prompts that both attempted: how far apart they are and whether that is more than chance.

Gates come first: a model that fails one ranks behind all others. The rest are compared in pairs by a t test over the
means of clusters, adjusted after Holm for the number of pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.lib import stats
from jobs.lib.comparison.scores import FailedGate, Scores, by_cluster
from jobs.lib.stats import Estimate

LEVEL = 0.05

#: Below so many clusters no pair is called separated: two or three values that happen to be equal have no spread.
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
        """Quality of `key` less that of the other model."""
        if self.gap is None or key == self.first:
            return self.gap
        low, high = self.gap.low, self.gap.high
        return Estimate(-self.gap.mean, None if high is None else -high, None if low is None else -low, self.gap.n)


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """Every model against every other one."""

    scores: Mapping[str, Scores]  #: of the models that attempted a prompt
    failed_gates: Mapping[str, Sequence[FailedGate]]  #: of the models that fail one
    ranking: tuple[str, ...]  #: best first; models that fail a gate last
    eligible: tuple[str, ...]  #: those of the ranking that pass the gates
    pairs: tuple[Pair, ...]  #: the better one of the ranking first
    groups: Mapping[str, str]  #: compact letter display of the eligible ones
    best: str | None  #: the one that is better than every other one beyond chance

    def between(self, key: str, other: str) -> Pair | None:
        return next((pair for pair in self.pairs if {pair.first, pair.second} == {key, other}), None)

    def beats(self, key: str, other: str) -> bool:
        """Whether `key` is better than `other` beyond chance."""
        return _beats(key, other, self.pairs)


def compare(
    scores: Mapping[str, Scores],
    failed_gates: Mapping[str, Sequence[FailedGate]] | None = None,
    left_out: Collection[str] = (),
) -> Pairwise:
    """Ranking, pairs and groups of models by their scores; `left_out` are those that later rounds no longer asked."""
    failed = {key: gates for key, gates in (failed_gates or {}).items() if gates}
    attempted = {key: values for key, values in scores.items() if values}
    ranking = rank(attempted, {key: 2 if key in failed else int(key in left_out) for key in attempted})
    eligible = [key for key in ranking if key not in failed]
    family = eligible if len(eligible) > 1 else ranking
    pairs = find_pairs(attempted, family)
    best = next((key for key in eligible if _beats_all(key, family, pairs)), None)
    if best:
        eligible = [best, *(key for key in eligible if key != best)]
        ranking = [*eligible, *(key for key in ranking if key not in eligible)]
    separated = [(pair.first, pair.second) for pair in pairs if pair.separated]
    return Pairwise(
        scores=attempted,
        failed_gates=failed,
        ranking=tuple(ranking),
        eligible=tuple(eligible),
        pairs=pairs,
        groups=stats.compact_letter_display(eligible, separated),
        best=best,
    )


def difference(first: Scores, second: Scores) -> Estimate | None:
    """Quality of the first less that of the second, paired by prompt; None for no common prompt."""
    return stats.clustered_interval(by_cluster(paired(first, second)))


def paired(first: Scores, second: Scores) -> dict[tuple[str, int], float]:
    """The difference at each prompt that both attempted."""
    return {prompt: first[prompt] - second[prompt] for prompt in first if prompt in second}


def rank(models: Mapping[str, Scores], tiers: Mapping[str, int] | None = None) -> list[str]:
    """Best first: by tier, then by the mean of the paired differences from the others of the tier.

    Where all attempted the same prompts, that is the order of their means. The first given leads among equals.
    """
    tier = {key: (tiers or {}).get(key, 0) for key in models}

    def mean_lead(key: str) -> float:
        rivals = [other for other in models if other != key and tier[other] == tier[key]]
        gaps = (difference(models[key], models[other]) for other in rivals)
        return stats.mean([gap.mean for gap in gaps if gap]) or 0.0

    return sorted(models, key=lambda key: (tier[key], -round(mean_lead(key), 9)))


def find_pairs(models: Mapping[str, Scores], ranking: Sequence[str]) -> tuple[Pair, ...]:
    """Every pair of the ranking, tested and adjusted."""
    pairs = [_pair(first, second, models) for first, second in itertools.combinations(ranking, 2)]
    tested = [index for index, pair in enumerate(pairs) if pair.p is not None]
    adjusted = dict(zip(tested, stats.holm([pairs[index].p or 0.0 for index in tested]), strict=True))
    return tuple(replace(pair, p_holm=adjusted.get(index)) for index, pair in enumerate(pairs))


def _pair(first: str, second: str, models: Mapping[str, Scores]) -> Pair:
    gaps = paired(models[first], models[second])
    means = list(stats.cluster_means(by_cluster(gaps)).values())
    return Pair(
        first=first,
        second=second,
        gap=stats.t_interval(means),
        prompts=len(gaps),
        p=stats.t_p(means),
        sign_flip=stats.sign_flip(means),
    )


def _beats(key: str, other: str, pairs: Sequence[Pair]) -> bool:
    pair = next((pair for pair in pairs if {pair.first, pair.second} == {key, other}), None)
    lead = pair.lead(key) if pair is not None and pair.separated else None
    return lead is not None and lead.mean > 0


def _beats_all(key: str, family: Sequence[str], pairs: Sequence[Pair]) -> bool:
    others = [other for other in family if other != key]
    return bool(others) and all(_beats(key, other, pairs) for other in others)
