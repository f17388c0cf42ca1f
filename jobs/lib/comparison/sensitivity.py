"""What other weights of quality, speed and memory would change of a decision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.lib.comparison.scores import ModelFigures


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


def order(models: Mapping[str, TradeOff], keys: Sequence[str], weights: Mapping[str, float]) -> list[str]:
    """The keys by the weighted sum of quality, speed and memory; empty where quality or speed is unknown."""
    parts = scaled(models, keys)
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
    parts = scaled(models, keys)
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


def scaled(models: Mapping[str, TradeOff], keys: Sequence[str]) -> dict[str, dict[str, float]] | None:
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
