"""How good a model's replies are, in layers, and whether it may be chosen at all: figures of one model.

A failed reply counts 0 in every layer, so a model cannot gain by failing on the hard prompts. Samples of a prompt are
averaged first, then the prompts of a cluster. A cluster is what counts as independent: a scenario, or a conversation
of the owner's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.lib import stats
from jobs.lib.comparison import replies as run_replies
from jobs.lib.comparison.replies import Replies
from jobs.lib.results.tables import ModelLoad, Reply

#: What a run's `report` section says when its snapshot has none: the defaults of that section.
GATES: dict[str, float | None] = {"success": 0.9, "memory_mb": 6144, "p95_ms": 15_000}
LAYERS = {"checks": 0.6, "style": 0.2, "meaning": 0.2}
WEIGHTS = {"quality": 0.7, "speed": 0.2, "memory": 0.1}


@dataclass(frozen=True)
class Rules:
    """By what a run's verdict is found."""

    gates: Mapping[str, float | None] = field(default_factory=lambda: GATES)
    layers: Mapping[str, float] = field(default_factory=lambda: LAYERS)
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


def rules(snapshot: Any) -> Rules:
    """The rules in a run's snapshot, completed by the defaults."""
    plan = snapshot.get("plan") if isinstance(snapshot, dict) else None
    section = plan.get("report") if isinstance(plan, dict) else None
    given = section if isinstance(section, dict) else {}
    parts = ((name, given.get(name) or {}) for name in ("gates", "layers", "weights"))
    defaults: dict[str, Any] = {"gates": GATES, "layers": LAYERS, "weights": WEIGHTS}
    return Rules(**{name: defaults[name] | part for name, part in parts})


# ------------------------------------------------------------------------------------------- the replies of a run


# ------------------------------------------------------------------------------------------- figures of one model


def figures(
    model: str, replies: Replies, loadings: Sequence[ModelLoad], weights: Mapping[str, float]
) -> dict[str, Any]:
    """Figures of one model; `loadings` in the order of rounds. Whatever was not measured is None.

    Speed is taken over successful replies, because a failure is often fast, and never from a batch.
    `p95_latency_ms` is null below 20 such replies, where it would be little more than the slowest one.
    """
    rows = replies.by_model.get(model, [])
    good = [row for row in rows if row.success]
    quality = stats.clustered_interval(run_replies.by_cluster(replies.scores(model, weights)))
    return {
        "total_tests": len(rows),
        "successes": len(good),
        "failures": len(rows) - len(good),
        "success_rate": len(good) / len(rows) if rows else None,
        "success_rate_ci": stats.wilson(len(good), len(rows)),
        **_speed([row for row in good if not row.batched and row.latency_ms is not None]),
        "avg_tokens": stats.mean(run_replies.known(row.tokens for row in good)),
        "quality": quality.mean if quality else None,
        "quality_ci": stats.clip_interval(quality.interval) if quality else None,
        "quality_clusters": quality.n if quality else 0,
        "layers": _layers(model, replies),
        "first_reply_ms": next(iter(run_replies.known(row.first_reply_ms for row in loadings)), None),
        "peak_memory_mb": _peak(rows, loadings),
        "process_peak_mb": max(run_replies.known(row.process_mb for row in loadings), default=None),
    }


def _speed(timed: Sequence[Reply]) -> dict[str, Any]:
    latencies = run_replies.known(row.latency_ms for row in timed)
    return {
        "timed_replies": len(latencies),
        "avg_latency_ms": stats.mean(latencies),
        "p50_latency_ms": stats.median(latencies),
        "p95_latency_ms": stats.p95(latencies),
        "max_latency_ms": max(latencies, default=None),
        "avg_ttft_ms": stats.mean(run_replies.known(row.ttft_ms for row in timed)),
        "p50_ttft_ms": stats.median(run_replies.known(row.ttft_ms for row in timed)),
        "inter_token_ms": stats.median(run_replies.known(row.inter_token_ms for row in timed)),
        "tokens_per_second": stats.median(run_replies.known(row.tokens_per_second for row in timed)),
        "characters_per_second": stats.median(run_replies.known(row.characters_per_second for row in timed)),
    }


def _peak(rows: Sequence[Reply], loadings: Sequence[ModelLoad]) -> float | None:
    """Peak of the model as JARVIS would use it, in MB: a batch holds several replies at once and is left out."""
    peaks = [row.peak_memory_mb for row in rows if not row.batched] + [row.load_peak_mb for row in loadings]
    return max(run_replies.known(peaks), default=None)


def _layers(model: str, replies: Replies) -> dict[str, Any]:
    """{layer: {"mean", "ci", "n", "clusters"}}: n replies; mean and ci None where a layer was not measured."""
    values: dict[str, Any] = {layer: lambda row, layer=layer: replies.layer(row, layer) for layer in LAYERS}
    values["bits_per_character"] = lambda row: run_replies.number(row.bits_per_character)
    found = {}
    for layer, value in values.items():
        most = 1.0 if layer in LAYERS else math.inf
        estimate = stats.clustered_interval(run_replies.by_cluster(replies.means(model, value)))
        found[layer] = {
            "mean": estimate.mean if estimate else None,
            "ci": stats.clip_interval(estimate.interval, high=most) if estimate else None,
            "n": len(run_replies.known(value(row) for row in replies.by_model.get(model, ()))),
            "clusters": estimate.n if estimate else 0,
        }
    return found


def failed_gates(figures: Mapping[str, Any], limits: Mapping[str, float | None]) -> list[str]:
    """Why a model may not be chosen, whatever its quality; empty where it may. Nothing measured, nothing missed."""
    reasons = []
    share, peak, p95 = (figures[name] for name in ("success_rate", "peak_memory_mb", "p95_latency_ms"))
    if (least := limits.get("success")) is not None and share is not None and share < least:
        reasons.append(f"{figures['successes']} of {figures['total_tests']} replies usable, under {100 * least:.0f} %")
    if (most := limits.get("memory_mb")) is not None and peak is not None and peak > most:
        reasons.append(f"peak of {peak:.0f} MB, over {most:.0f} MB")
    if (slowest := limits.get("p95_ms")) is not None and p95 is not None and p95 > slowest:
        reasons.append(f"p95 of {p95 / 1000:.1f} s a reply, over {slowest / 1000:.1f} s")
    return reasons
