"""What would change a decision: other weights, more prompts, more votes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.lib import stats
from jobs.lib.comparison.decide import Decision, Source
from jobs.lib.comparison.pairwise import LEVEL, paired
from jobs.lib.comparison.scores import Measure, ModelFigures, by_cluster, measure
from jobs.lib.comparison.votes import Ranking

#: Votes between two models by which a preference in 4 of 5 is found with 80 % power, looking after
#: each (jobs.lib.comparison.votes).
VOTES = 29

#: A run asks at most so many turns (jobs.evaluate.holdout), so there are no more conversations in it.
MOST_CONVERSATIONS = 400


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """What the weights weigh: quality 0..1, median time of a reply, peak memory."""

    quality: float | None
    p50_ms: float | None
    peak_mb: float | None

    @classmethod
    def of(cls, figures: ModelFigures) -> TradeOff:
        return cls(quality=figures.shared_quality, p50_ms=figures.shared_p50_ms, peak_mb=figures.peak_memory_mb)


@dataclass(frozen=True, kw_only=True)
class Stability:
    """The weights of speed for which the first model stays first, 0..1."""

    weight: str = "speed"
    low: float = field(metadata={"json": "from"})
    high: float = field(metadata={"json": "to"})


@dataclass(frozen=True, kw_only=True)
class TieBreak:
    """What would separate two tied models. 0 = that way is not open."""

    first: str
    second: str
    difference: float = 0.0  #: seen so far
    conversations: int = 0  #: real turns from so many more would do
    exhausted: int = 0  #: conversations of the history, where more turns of them would not do
    votes: int = 0  #: so many more would do
    some_votes: bool = False  #: some were given already


def order(models: Mapping[str, TradeOff], keys: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """The keys by the weighted sum of quality, speed and memory; empty where quality or speed is unknown."""
    parts = _parts(models, keys)
    total = math.fsum(weights.values())
    if parts is None or not total:
        return []
    return sorted(keys, key=lambda key: -round(_sum(parts[key], weights), 9))


def weight_sensitivity(
    models: Mapping[str, TradeOff], first: str, keys: Sequence[str], weights: Mapping[str, float]
) -> Stability | None:
    """For which weight of speed `first` stays first of `keys`; None for none.

    What is left of the weight goes to quality and memory as the plan divides it. Quality is a share already; speed
    is the fastest model's median time over the model's own, memory the smallest peak over the model's own.
    """
    parts = _parts(models, keys)
    rest = {"quality": weights.get("quality", 0.0), "memory": weights.get("memory", 0.0)}
    if parts is None or len(keys) < 2 or not math.fsum(rest.values()):
        return None
    low, high = 0.0, 1.0
    mine, my_speed = _sum(parts[first], rest), parts[first]["speed"]
    for key in keys:
        lead, faster = mine - _sum(parts[key], rest), parts[key]["speed"] - my_speed
        # first stays before key where (1 - w) * lead >= w * faster
        if lead < 0 and faster >= 0:
            return None
        if lead >= 0 and faster > 0:
            high = min(high, lead / (lead + faster))
        elif lead < 0:
            low = max(low, lead / (lead + faster))
    low, high = math.ceil(100 * low - 1e-9) / 100, math.floor(100 * high + 1e-9) / 100
    return Stability(low=low, high=high) if low <= high else None


def _parts(models: Mapping[str, TradeOff], keys: Sequence[str]) -> dict[str, dict[str, float]] | None:
    """Quality, speed and memory of each model on a scale of 0 to 1; None where quality or speed is unknown."""
    chosen = {key: models[key] for key in keys}
    times = [model.p50_ms for model in chosen.values() if model.p50_ms]
    peaks = [model.peak_mb for model in chosen.values() if model.peak_mb]
    if not chosen or len(times) < len(chosen) or any(model.quality is None for model in chosen.values()):
        return None
    fastest, smallest = min(times), min(peaks) if len(peaks) == len(chosen) else 0.0
    return {
        key: {
            "quality": model.quality or 0.0,
            "speed": fastest / (model.p50_ms or fastest),
            "memory": smallest / model.peak_mb if smallest and model.peak_mb else 0.0,
        }
        for key, model in chosen.items()
    }


def _sum(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = math.fsum(weights.values())
    return math.fsum(weights[name] * parts[name] for name in weights) / total


# ------------------------------------------------------------------------------------ what would separate a tie


def what_would_resolve_tie(
    decision: Decision, tied: Sequence[str], votes: Ranking, conversations: int | None = None
) -> TieBreak | None:
    """What would separate the first two of `tied`; None where nothing is tied.

    `conversations` is how many the owner's history has, None where that was not counted. Numbers that contradict each
    other can be resolved by votes alone, a contradiction between numbers and votes by neither.
    """
    conflict = decision.conflict
    if len(tied) < 2 or (conflict and conflict.source is Source.VOTES):
        return None
    first, second = (tied[0], tied[1]) if conflict else _closest(decision, tied)
    given = votes.count([first, second])
    ways = TieBreak(first=first, second=second, votes=max(0, VOTES - given), some_votes=given > 0)
    return ways if conflict else _with_turns(ways, decision, conversations)


def _closest(decision: Decision, tied: Sequence[str]) -> tuple[str, str]:
    """The first of the tied by the numbers and the one nearest to it."""
    leader, *others = sorted(tied, key=decision.pairwise.ranking.index)

    def distance(key: str) -> float:
        pair = decision.pairwise.between(leader, key)
        return abs(pair.gap.mean) if pair and pair.gap else math.inf

    return leader, min(others, key=distance)


def _with_turns(ways: TieBreak, decision: Decision, conversations: int | None) -> TieBreak:
    """The same with what more real turns would do. Turns of one conversation are one cluster."""
    pair = decision.pairwise.between(ways.first, ways.second)
    gap = pair.lead(ways.first) if pair else None
    if gap is None:
        return ways
    scores = decision.pairwise.scores
    means = stats.cluster_means(by_cluster(paired(scores[ways.first], scores[ways.second])))
    asked = sum(measure((cluster, 0)) is Measure.OWN_TURNS for cluster in means)
    available = (MOST_CONVERSATIONS if conversations is None else conversations) - asked
    # the p of this pair alone has to stay under this level
    level = LEVEL / max(1, sum(not other.separated for other in decision.pairwise.pairs))
    missing = _missing_clusters(list(means.values()), gap.mean, level)
    more = min(_rounded(missing), available) if 0 < missing <= available else 0
    exhausted = conversations or 0 if missing and not more else 0
    return replace(ways, difference=abs(gap.mean), conversations=more, exhausted=exhausted)


def _missing_clusters(means: Sequence[float], difference: float, level: float) -> float:
    """How many more clusters would separate the two; 0 where they are not lacking, infinite for no end."""
    if len(means) < 2:
        return 0
    spread = math.sqrt(math.fsum((value - difference) ** 2 for value in means) / (len(means) - 1))
    needed = stats.clusters_needed(difference, spread, alpha=level)
    return math.inf if needed is None else max(0, needed - len(means))


def _rounded(number: float) -> int:
    """Upwards to two digits that count: 137 becomes 140."""
    step = 10 ** max(0, len(str(math.ceil(number))) - 2)
    return math.ceil(number / step) * step
