"""What would change a verdict: other weights, more prompts, more votes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jobs import statistics
from jobs.pairs import LEVEL
from jobs.quality import Scores, by_cluster
from jobs.verdict import Finding, Votes

#: Votes between two models that show a preference in 4 of 5 with 80 % power: the exact binomial test at 5 %.
VOTES = 20


def order(figures: Mapping[str, Mapping[str, Any]], keys: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """The keys by the weighted sum of quality, speed and memory; as they come where one of these is unknown."""
    parts = _parts(figures, keys)
    total = math.fsum(weights.values())
    if parts is None or not total:
        return list(keys)
    return sorted(keys, key=lambda key: -round(_sum(parts[key], weights), 9))


def stability(
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


def settle(finding: Finding, models: Mapping[str, Scores], names: Mapping[str, str], votes: Votes) -> str:
    """What would settle a tie between the first two of the tied, as a sentence; "" where nothing is tied.

    The number of prompts follows from the difference and spread seen so far, which are uncertain themselves.
    """
    tied: list[str] = finding.verdict["tied"]
    if len(tied) < 2:
        return ""
    first, second = _closest(finding, tied)
    more = _more_prompts(finding, first, second, models)
    ways = [way for way in (more, _more_votes(first, second, names, votes)) if way]
    return f"{' or '.join(ways)[0].upper()}{' or '.join(ways)[1:]}." if ways else ""


def _closest(finding: Finding, tied: Sequence[str]) -> tuple[str, str]:
    """The first of the tied by the numbers and the one nearest to it."""
    leader, *others = sorted(tied, key=finding.ranking.index)

    def distance(key: str) -> float:
        pair = finding.between(leader, key)
        return abs(pair.gap.mean) if pair and pair.gap else math.inf

    return leader, min(others, key=distance)


def _more_prompts(finding: Finding, first: str, second: str, models: Mapping[str, Scores]) -> str:
    """ "about 120 more real turns, ..."; "" where more prompts of the same kind would not do."""
    pair = finding.between(first, second)
    if pair is None or pair.gap is None or pair.gap.n < 2:
        return ""
    paired = {
        prompt: models[first][prompt] - value for prompt, value in models[second].items() if prompt in models[first]
    }
    clusters = by_cluster(paired)
    means = list(statistics.cluster_means(clusters).values())
    spread = math.sqrt(math.fsum((value - pair.gap.mean) ** 2 for value in means) / (len(means) - 1))
    open_pairs = sum(not other.separated for other in finding.pairs)
    needed = statistics.clusters_needed(pair.gap.mean, spread, alpha=LEVEL / max(1, open_pairs))
    if needed is None or needed <= len(means):
        return ""
    chats = [values for cluster, values in clusters.items() if cluster.startswith("chat:")]
    turns = sum(map(len, chats)) / len(chats) if chats else 1.0
    number = _rounded((needed - len(means)) * turns)
    what = "more real turns" if chats else "more real turns, each from another conversation"
    return (
        f"about {number} {what} (80 % power, if the difference of {abs(pair.gap.mean):.2f} seen so far is the true one)"
    )


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
