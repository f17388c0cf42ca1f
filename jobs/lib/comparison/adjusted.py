"""Models on common ground: each as if it had been asked all that the leader was asked.

A model that later rounds left out answered fewer prompts, perhaps the easier ones, so its mean must not stand beside
that of one that went on. Here its quality is the leader's mean plus the paired difference to the leader on the prompts
that both answered, and its times are the leader's times the ratio on those prompts. Unlike means over the prompts of
all, that uses every reply of the models that went on, and it never puts a model before one that is ahead of it in the
paired differences to the leader. Assumed is that the difference holds on the prompts that the model was not asked.

Where a model was asked the same as the leader these are its own figures, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jobs.lib import stats
from jobs.lib.comparison.replies import Prompt, Replies, Scores, by_cluster, known


def leader_adjusted(
    scores: Mapping[str, Scores], ranking: Sequence[str], replies: Replies
) -> dict[str, dict[str, Any]]:
    """Model -> figures on the ground of the first of `ranking`, for `stats["common"]`; those of nothing are None."""
    every = set().union(*scores.values())
    leader = ranking[0] if ranking else None
    return {key: _figures(key, leader, scores, replies) | {"asked": len(every)} for key in scores}


def with_adjusted(stats: Mapping[str, Any]) -> Mapping[str, Any]:
    """A model's figures with those on common ground in the place of its own."""
    return {**stats, **(stats.get("common") or {})}


def _figures(key: str, leader: str | None, scores: Mapping[str, Scores], replies: Replies) -> dict[str, Any]:
    ours, theirs = scores[key], scores[leader] if leader is not None else {}
    both = ours.keys() & theirs.keys()
    return {
        "leader": leader,
        "answered": len(ours),
        **_quality(ours, theirs, both),
        **_times(replies, key, leader or key, both),
    }


def _quality(ours: Scores, theirs: Scores, both: Collection[Prompt]) -> dict[str, Any]:
    mine, part, whole = (
        stats.clustered_interval(by_cluster(values)) for values in (_on(ours, both), _on(theirs, both), theirs)
    )
    if mine is None or part is None or whole is None:
        return {"quality": None, "quality_ci": None}
    shift = whole.mean - part.mean
    ends = [end + shift for end in mine.interval] if mine.interval else None
    return {"quality": min(1.0, max(0.0, mine.mean + shift)), "quality_ci": stats.clip_interval(ends)}


def _on(scores: Scores, prompts: Collection[Prompt]) -> Scores:
    return {prompt: value for prompt, value in scores.items() if prompt in prompts}


def _times(replies: Replies, key: str, leader: str, both: Collection[Prompt]) -> dict[str, Any]:
    """Median and mean time of a reply."""
    mine, whole = (_latencies(replies, one, None) for one in (key, leader))
    ours, part = (_latencies(replies, one, both) for one in (key, leader))
    figures: tuple[tuple[str, Callable[[Sequence[float]], float | None]], ...] = (
        ("p50_latency_ms", stats.median),
        ("avg_latency_ms", stats.mean),
    )
    return {name: _scaled(of(ours), of(whole), of(part), of(mine)) for name, of in figures}


def _scaled(ours: float | None, whole: float | None, part: float | None, mine: float | None) -> float | None:
    """Time on the shared prompts, times what all prompts cost the leader; its own where the leader has no time."""
    return mine if ours is None or not whole or not part else ours * (whole / part)


def _latencies(replies: Replies, key: str, prompts: Collection[Prompt] | None) -> list[float]:
    """Milliseconds of the usable replies that were written one by one."""
    rows = [row for row in replies.by_model.get(key, ()) if row.success and not row.batched]
    return known(row.latency_ms for row in rows if prompts is None or replies.prompt(row) in prompts)
