"""Leader-adjusted figures: each model as if it had been asked all that the leader was asked.

A model that later rounds left out answered fewer prompts, perhaps the easier ones, so its mean must not stand beside
that of one that went on. Here its quality is the leader's mean plus the paired difference to the leader on the prompts
that both answered, and its times are the leader's times the ratio on those prompts. Unlike means over the prompts of
all, that uses every reply of the models that went on, and it never puts a model before one that is ahead of it in the
paired differences to the leader. Assumed is that the difference holds on the prompts that the model was not asked.

Where a model was asked the same as the leader these are its own figures, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypedDict

from jobs.lib import stats
from jobs.lib.comparison.scores import AdjustedFigures, ModelScores, Prompt, Scores, by_cluster, known


class _Quality(TypedDict):
    quality: float | None
    quality_ci: list[float] | None


class _Times(TypedDict):
    p50_latency_ms: float | None
    avg_latency_ms: float | None


def leader_adjusted(models: Mapping[str, ModelScores], ranking: Sequence[str]) -> dict[str, AdjustedFigures]:
    """Figures of each model with replies, adjusted to the first of `ranking`; None where nothing overlaps."""
    replied = {key: model for key, model in models.items() if model.replies}
    every = set().union(*(model.by_prompt for model in replied.values()))
    leader = ranking[0] if ranking else None
    return {key: _figures(model, leader, replied, len(every)) for key, model in replied.items()}


def _figures(model: ModelScores, leader: str | None, models: Mapping[str, ModelScores], asked: int) -> AdjustedFigures:
    first = models[leader] if leader is not None else None
    theirs: Scores = first.by_prompt if first else {}
    both = model.by_prompt.keys() & theirs.keys()
    return AdjustedFigures(
        leader=leader,
        answered=len(model.by_prompt),
        asked=asked,
        **_quality(model.by_prompt, theirs, both),
        **_times(model, first or model, both),
    )


def _quality(own: Scores, leader: Scores, both: Collection[Prompt]) -> _Quality:
    mine, part, whole = (
        stats.clustered_interval(by_cluster(values)) for values in (_on(own, both), _on(leader, both), leader)
    )
    if mine is None or part is None or whole is None:
        return {"quality": None, "quality_ci": None}
    shift = whole.mean - part.mean
    ends = [end + shift for end in mine.interval] if mine.interval else None
    return {"quality": min(1.0, max(0.0, mine.mean + shift)), "quality_ci": stats.clip_interval(ends)}


def _on(scores: Scores, prompts: Collection[Prompt]) -> Scores:
    return {prompt: value for prompt, value in scores.items() if prompt in prompts}


def _times(model: ModelScores, leader: ModelScores, both: Collection[Prompt]) -> _Times:
    """Median and mean time of a reply, in ms."""
    own, whole = _latencies(model, None), _latencies(leader, None)
    shared, part = _latencies(model, both), _latencies(leader, both)

    def scaled(of: Callable[[Sequence[float]], float | None]) -> float | None:
        """The model's time on the shared prompts, times what all prompts cost the leader; its own without that."""
        mine, every, some = of(shared), of(whole), of(part)
        return of(own) if mine is None or not every or not some else mine * (every / some)

    return {"p50_latency_ms": scaled(stats.median), "avg_latency_ms": scaled(stats.mean)}


def _latencies(model: ModelScores, prompts: Collection[Prompt] | None) -> list[float]:
    """Milliseconds of the usable replies that were written one by one."""
    timed = [reply for reply in model.replies if reply.row.success and not reply.row.batched]
    return known(reply.row.latency_ms for reply in timed if prompts is None or reply.prompt in prompts)
