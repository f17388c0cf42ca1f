"""Leader-adjusted figures: each model as if it had been asked all that the leader was asked.

A model that later rounds left out answered fewer prompts, perhaps the easier ones, so its mean must not stand beside
that of one that went on. Its quality counts that already: measures.py fills in what it was not asked. Here its times
are the leader's times the ratio on the prompts that both answered. Assumed is that the ratio holds on the others.

Where a model was asked the same as the leader these are its own times, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from jobs.lib import stats
from jobs.lib.comparison.prompts import Prompt
from jobs.lib.comparison.scores import AdjustedFigures, ModelScores, known


class _Times(TypedDict):
    p50_latency_ms: float | None
    avg_latency_ms: float | None


_NO_TIMES = _Times(p50_latency_ms=None, avg_latency_ms=None)


def leader_adjusted(
    models: Mapping[str, ModelScores], ranking: Sequence[str], *, has_times: bool = True
) -> dict[str, AdjustedFigures]:
    """Figures of each model with replies, adjusted to the first of `ranking`; None where nothing overlaps.

    `has_times`: False where models ran on several machines, whose times cannot be compared.
    """
    replied = {key: model for key, model in models.items() if model.replies}
    every = set().union(*(model.by_prompt for model in replied.values()))
    leader = ranking[0] if ranking else None
    figures = {key: _figures(model, leader, replied, len(every)) for key, model in replied.items()}
    return figures if has_times else {key: replace(each, **_NO_TIMES) for key, each in figures.items()}


def _figures(model: ModelScores, leader: str | None, models: Mapping[str, ModelScores], asked: int) -> AdjustedFigures:
    first = models[leader] if leader is not None else model
    return AdjustedFigures(
        leader=leader,
        answered=len(model.by_prompt),
        asked=asked,
        quality=model.figures.quality,
        quality_ci=model.figures.quality_ci,
        **_times(model, first, model.by_prompt.keys() & first.by_prompt.keys()),
    )


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
    """Milliseconds of the complete replies that were written one by one."""
    timed = [reply for reply in model.replies if reply.row.success and not reply.row.batched]
    return known(reply.row.latency_ms for reply in timed if prompts is None or reply.prompt in prompts)
