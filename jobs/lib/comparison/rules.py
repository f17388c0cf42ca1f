"""The defaults by which models are compared: stated here, used by the plans of `report` and `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What a model must reach before its quality counts; None = not asked. MB are MiB as MLX counts them, times in ms.
SUCCESS, MEMORY_MB, P95_MS = 0.9, 6144, 15_000
GATES: dict[str, float | None] = {"success": SUCCESS, "memory_mb": MEMORY_MB, "p95_ms": P95_MS}
#: How much each measure counts in the quality of a model.
MEASURES = {"instructions": 0.5, "own_turns": 0.5}
#: Metrics that are shown beside quality, with the weights that a plan may still name; they no longer count.
METRICS = {"checks": 0.6, "style": 0.2, "meaning": 0.2}
#: How models are ordered that quality does not separate.
WEIGHTS = {"quality": 0.7, "speed": 0.2, "memory": 0.1}
#: How many rounds an `evaluate` section asks for, and what each round brings.
ROUNDS: dict[str, Any] = {"samples": 1, "rounds": 1, "more_samples": 4, "turns": 40}


@dataclass(frozen=True)
class Rules:
    """The rules of one run."""

    gates: Mapping[str, float | None] = field(default_factory=lambda: GATES)
    measures: Mapping[str, float] = field(default_factory=lambda: MEASURES)
    metrics: Mapping[str, float] = field(default_factory=lambda: METRICS)
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


def of_plan(section: Mapping[str, Any], *, has_times: bool = True) -> Rules:
    """The rules of a plan's `report` section, completed by the defaults; `weights` may name the measures too.

    `has_times`: False where models ran on several machines, so that none is judged by its times.
    """
    named = {name: weight for name, weight in (section.get("weights") or {}).items() if weight is not None}
    of_measures = {name: weight for name, weight in named.items() if name in MEASURES}
    return Rules(
        gates=GATES | (section.get("gates") or {}) | ({} if has_times else {"p95_ms": None}),
        measures=MEASURES | (section.get("measures") or {}) | of_measures,
        metrics=METRICS | (section.get("layers") or {}),
        weights=WEIGHTS | {name: weight for name, weight in named.items() if name not in MEASURES},
    )
