"""Which models later rounds need not ask any more."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from jobs.lib.comparison.posterior import LEAST_GAIN, Posterior

#: A model is given up where the chance is less than this that it is the best or as good as the best.
LEAST_CHANCE = 0.01
LEAST_MODELS = 2


def eliminated(
    posterior: Posterior, keep: Collection[int] = (), gain: float = LEAST_GAIN, least_chance: float = LEAST_CHANCE
) -> list[int]:
    """Models without a real chance to come within `gain` of the best, worst first.

    Never one of the two best, and never one of `keep`, the present model say. The two-armed form of this rule, "stop
    sampling an arm whose posterior chance is negligible", is E. Kaufmann, N. Korda and R. Munos, ALT 2012; its error is
    what `python -m benchmarks decision` counts.
    """
    chances = posterior.chance_near_best(gain)
    order = [int(model) for model in np.argsort(posterior.mean)]
    safe = {*order[-LEAST_MODELS:], *keep}
    return [model for model in order if chances[model] < least_chance and model not in safe]
