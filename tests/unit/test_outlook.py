"""What other weights of quality, speed and memory would change."""

from __future__ import annotations

from jobs.lib.comparison import rules, sensitivity
from jobs.lib.comparison.sensitivity import Stability, TradeOff


def figures(**models: tuple[float, float | None, float]) -> dict[str, TradeOff]:
    """Quality, median time in ms and peak in MB of each model."""
    return {key: TradeOff(quality=quality, p50_ms=p50, peak_mb=peak) for key, (quality, p50, peak) in models.items()}


def test_weights_order_what_quality_does_not_separate() -> None:
    """Of two equally good ones the faster comes first; with an unknown time there is no such order."""
    both = figures(a=(0.8, 2000, 2000), b=(0.8, 1000, 2000))
    assert sensitivity.order(both, ["a", "b"], rules.WEIGHTS) == ["b", "a"]
    assert sensitivity.order(figures(a=(0.8, None, 1), b=(0.8, 1, 1)), ["a", "b"], rules.WEIGHTS) == []


def test_stability_is_where_the_weighted_sums_cross() -> None:
    """Quality alone: 0.9 (1 - w) + 0.5 w = 0.7 (1 - w) + w gives w = 0.2857, rounded down."""
    both = figures(a=(0.9, 2000, 2000), b=(0.7, 1000, 2000))
    weights = {"quality": 1.0, "speed": 0.2, "memory": 0.0}
    assert sensitivity.weight_sensitivity(both, "a", ["a", "b"], weights) == Stability(low=0.0, high=0.28)
    assert sensitivity.weight_sensitivity(both, "b", ["a", "b"], weights) == Stability(low=0.29, high=1.0)
    assert sensitivity.weight_sensitivity(figures(a=(0.9, 1, 1), b=(0.7, 1, 1)), "b", ["a", "b"], weights) is None
    assert sensitivity.weight_sensitivity(both, "a", ["a"], weights) is None
