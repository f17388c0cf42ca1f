"""Which models later rounds need not ask any more."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison.posterior import LEAST_GAIN, Posterior

#: A model is given up where the chance is less than this that it is the best or as good as the best.
LEAST_CHANCE = 0.01
LEAST_MODELS = 2


def eliminated(
    posterior: Posterior,
    asked: NDArray[np.bool_],
    keep: Collection[int] = (),
    gain: float = LEAST_GAIN,
    least_chance: float = LEAST_CHANCE,
) -> list[int]:
    """Of the models that are still `asked`, those without a real chance to come within `gain` of the best, worst first.

    Never one of the two best of them, and never one of `keep`, the present model say. Giving up an arm whose posterior
    chance is negligible is the idea of D. Russo, "Simple Bayesian algorithms for best-arm identification", COLT 2016;
    how often it costs the best model is what `python -m benchmarks decision` counts.
    """
    chances = posterior.chance_near_best(gain)
    order = [int(model) for model in np.argsort(posterior.mean) if asked[model]]
    safe = {*order[-LEAST_MODELS:], *keep}
    return [model for model in order if chances[model] < least_chance and model not in safe]
