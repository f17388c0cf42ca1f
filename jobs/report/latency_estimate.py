"""JARVIS with these results: a template where the right one fires, else the model. Measured numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.lib.comparison.document import ComparisonDocument, ModelDocument


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Expected time of a reply of the hybrid pipeline with one model."""

    model: str  #: key
    name: str
    model_ms: float  #: mean latency of its successful replies
    n: int  #: those of them that were timed
    expected_ms: float | None  #: match time + (1 - answered) x model_ms


@dataclass(frozen=True, kw_only=True)
class LatencyEstimate:
    """The hybrid pipeline in numbers, and what is missing to complete them."""

    answered: float | None  #: share of incoming messages on which the right template fires
    match_ms: float | None  #: mean
    match_n: int  #: matches that were timed
    expectations: tuple[Expectation, ...]
    missing: tuple[str, ...]  #: in words


def estimate(templates: Mapping[str, Any] | None, comparison: ComparisonDocument | None) -> LatencyEstimate:
    """Expected latency per model where the share answered, match time and model latency were all measured.

    A wrong template saves no time: the message still needs the model's reply. Means on both sides, because the mean of
    a sum is the sum of the means, which does not hold for medians.
    """
    stats = templates["stats"] if templates else {}
    answered = _number(stats.get("answered"))
    match_ms = _number(stats.get("match_mean_ms"))
    rows = [_expect(key, model, answered, match_ms) for key, model in (comparison.models.items() if comparison else ())]
    known = tuple(row for row in rows if row is not None)
    return LatencyEstimate(
        answered=answered,
        match_ms=match_ms,
        match_n=int(stats.get("match_n") or 0),
        expectations=known,
        missing=tuple(_missing(answered, match_ms, "" if known else _why_none(comparison), stats.get("match_problem"))),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _expect(key: str, model: ModelDocument, answered: float | None, match_ms: float | None) -> Expectation | None:
    latency = model.stats.shared_mean_ms
    if latency is None:
        return None
    expected = None
    if answered is not None and match_ms is not None:
        expected = match_ms + (1 - answered) * latency  # looking for a template costs its time on a miss too
    return Expectation(
        model=key,
        name=model.name,
        model_ms=latency,
        n=model.stats.timed_replies,
        expected_ms=expected,
    )


def _missing(answered: float | None, match_ms: float | None, no_model: str, problem: str | None) -> list[str]:
    """What is not known. `no_model`: why no model has a latency; "" where one has."""
    gaps = []
    if answered is None:
        gaps.append("the share of incoming messages on which the right template fires")
    if match_ms is None:
        gaps.append("the time that finding a template takes" + (f" ({problem})" if problem else ""))
    if no_model:
        gaps.append(f"the latency of a model ({no_model})")
    return gaps


def _why_none(comparison: ComparisonDocument | None) -> str:
    """Why no model has a latency that could stand beside another's."""
    is_spread = comparison is not None and comparison.is_spread
    return "the models ran on several Macs" if is_spread else "no model gave a complete reply"
