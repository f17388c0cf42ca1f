"""What would change a verdict: other weights, more prompts, more votes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib import stats
from jobs.lib.comparison.pairwise import LEVEL
from jobs.lib.comparison.replies import Scores, by_cluster
from jobs.lib.comparison.verdict import Finding, Votes
from jobs.lib.stats import Estimate

#: Votes between two models by which a preference in 4 of 5 is found with 80 % power, looking after
#: each (jobs.lib.comparison.votes).
VOTES = 29

#: A run asks at most so many turns (jobs.evaluate.holdout), so there are no more conversations in it.
MOST_CONVERSATIONS = 400


def order(figures: Mapping[str, Mapping[str, Any]], keys: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """The keys by the weighted sum of quality, speed and memory; empty where quality or speed is unknown."""
    parts = _parts(figures, keys)
    total = math.fsum(weights.values())
    if parts is None or not total:
        return []
    return sorted(keys, key=lambda key: -round(_sum(parts[key], weights), 9))


def weight_sensitivity(
    figures: Mapping[str, Mapping[str, Any]], first: str, keys: Sequence[str], weights: Mapping[str, float]
) -> dict[str, Any] | None:
    """For which weight of speed `first` stays first of `keys`: {"weight": "speed", "from", "to"}, or None for none.

    What is left of the weight goes to quality and memory as the plan divides it. Quality is a share already; speed
    is the fastest model's median time over the model's own, memory the smallest peak over the model's own.
    """
    parts = _parts(figures, keys)
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
    return {"weight": "speed", "from": low, "to": high} if low <= high else None


def _parts(figures: Mapping[str, Mapping[str, Any]], keys: Sequence[str]) -> dict[str, dict[str, float]] | None:
    """Quality, speed and memory of each model on a scale of 0 to 1; None where quality or speed is unknown."""
    quality, times, peaks = (
        {key: figures[key][name] for key in keys} for name in ("quality", "p50_latency_ms", "peak_memory_mb")
    )
    if not keys or None in quality.values() or not all(times.values()):
        return None
    fastest, smallest = min(times.values()), min(peaks.values()) if all(peaks.values()) else 0.0
    return {
        key: {
            "quality": quality[key],
            "speed": fastest / times[key],
            "memory": smallest / peaks[key] if smallest else 0.0,
        }
        for key in keys
    }


def _sum(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = math.fsum(weights.values())
    return math.fsum(weights[name] * parts[name] for name in weights) / total


# ------------------------------------------------------------------------------------------ what would settle it


def what_would_resolve_tie(
    finding: Finding,
    models: Mapping[str, Scores],
    names: Mapping[str, str],
    votes: Votes,
    conversations: int | None = None,
) -> str:
    """What would settle a tie between the first two of the tied, as a sentence; "" where nothing is tied.

    `conversations` is how many the owner's history has, None where nobody has counted. Numbers that contradict each
    other are settled by votes alone, a contradiction between numbers and votes by neither.
    """
    tied: list[str] = finding.verdict["tied"]
    conflict = finding.verdict["conflict"]
    if len(tied) < 2 or (conflict and conflict["with"] == "votes"):
        return ""
    first, second = tied[:2] if conflict else _closest(finding, tied)
    tie = _Tie.of(finding, first, second, models, conversations)
    more = "" if conflict else tie.more_conversations()
    ways = " or ".join(way for way in (more, _more_votes(first, second, names, votes)) if way)
    said = "; ".join(part for part in (ways, "" if more or conflict else tie.no_more_turns()) if part)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _closest(finding: Finding, tied: Sequence[str]) -> tuple[str, str]:
    """The first of the tied by the numbers and the one nearest to it."""
    leader, *others = sorted(tied, key=finding.ranking.index)

    def distance(key: str) -> float:
        pair = finding.between(leader, key)
        return abs(pair.gap.mean) if pair and pair.gap else math.inf

    return leader, min(others, key=distance)


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """Two models that are not separated. Turns of one conversation are one cluster, however many are asked."""

    gap: Estimate | None
    clusters: Mapping[str, Sequence[float]]  #: differences at the prompts of each
    level: float  #: that the p of this pair alone has to stay under
    conversations: int | None

    @classmethod
    def of(
        cls, finding: Finding, first: str, second: str, models: Mapping[str, Scores], conversations: int | None
    ) -> _Tie:
        pair = finding.between(first, second)
        ours, theirs = models[first], models[second]
        return cls(
            gap=pair.lead(first) if pair else None,
            clusters=by_cluster({prompt: ours[prompt] - value for prompt, value in theirs.items() if prompt in ours}),
            level=LEVEL / max(1, sum(not other.separated for other in finding.pairs)),
            conversations=conversations,
        )

    def more_conversations(self) -> str:
        """ "real turns from about 12 more conversations ..."; "" where that is none, or more than there are."""
        asked = sum(cluster.startswith("chat:") for cluster in self.clusters)
        there = MOST_CONVERSATIONS if self.conversations is None else self.conversations
        missing = self._missing()
        if self.gap is None or not 0 < missing <= there - asked:
            return ""
        seen = f"(80 % power, if the difference of {abs(self.gap.mean):.2f} seen so far is the true one)"
        return f"real turns from about {min(_rounded(missing), there - asked)} more conversations {seen}"

    def no_more_turns(self) -> str:
        """ "more turns of your 15 conversations will not", where the history has too few; else ""."""
        if not self.conversations or not self._missing():
            return ""
        return f"more turns of your {self.conversations} conversations will not settle it"

    def _missing(self) -> float:
        """How many more clusters would separate the two; 0 where it is not for lack of them, infinite for no end."""
        if self.gap is None or self.gap.n < 2:
            return 0
        means = list(stats.cluster_means(self.clusters).values())
        spread = math.sqrt(math.fsum((value - self.gap.mean) ** 2 for value in means) / (len(means) - 1))
        needed = stats.clusters_needed(self.gap.mean, spread, alpha=self.level)
        return math.inf if needed is None else max(0, needed - len(means))


def _more_votes(first: str, second: str, names: Mapping[str, str], votes: Votes) -> str:
    """ "about 12 votes between A and B, ..."; "" where so many were given already."""
    missing = VOTES - votes.count([first, second])
    if missing <= 0:
        return ""
    more = "more " if missing < VOTES else ""
    between = f"{names.get(first, first)} and {names.get(second, second)}"
    return f"about {missing} {more}votes between {between} (`jarvisctl vote`), if one is preferred 4 times out of 5"


def _rounded(number: float) -> int:
    """Upwards to two digits that count: 137 becomes 140."""
    step = 10 ** max(0, len(str(math.ceil(number))) - 2)
    return math.ceil(number / step) * step
