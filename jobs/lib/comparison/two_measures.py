"""Both measures of all models of a run, from their samples at each prompt; see measures.py for the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison import measures
from jobs.lib.comparison.measures import Measure as Measured
from jobs.lib.comparison.measures import Quality
from jobs.lib.comparison.prompts import Measure, Prompt, Samples, measure


@dataclass(frozen=True, kw_only=True)
class MeasureFigures:
    """A measure of one model. `ci` is None where an interval would not cover what it promises."""

    value: float | None = None
    ci: list[float] | None = None
    n: int = 0  #: prompts, or conversations


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Both measures of the models `keys`, and the quality made of them; None where no model has a value."""

    keys: tuple[str, ...]
    instructions: Measured | None = None
    own_turns: Measured | None = None
    quality: Quality | None = None

    def figures(self, key: str, of: Measure) -> MeasureFigures:
        taken = self.instructions if of is Measure.INSTRUCTIONS else self.own_turns
        if taken is None or key not in self.keys:
            return MeasureFigures()
        place = self.keys.index(key)
        if not taken.known[place]:
            return MeasureFigures()
        return MeasureFigures(value=float(taken.value[place]), ci=taken.interval(place), n=int(taken.n[place]))

    def figures_of_quality(self, key: str) -> MeasureFigures:
        """The weighted sum. It has an interval where each measure of the model has one."""
        if self.quality is None or key not in self.keys or not np.isfinite(self.quality.value[self.keys.index(key)]):
            return MeasureFigures()
        place = self.keys.index(key)
        parts = [part for part in (self.instructions, self.own_turns) if part is not None and part.known.any()]
        units = sum(int(part.n[place]) for part in parts)
        value = float(self.quality.value[place])
        if not all(part.has_interval[place] for part in parts):
            return MeasureFigures(value=value, n=units)
        reach = _t(min(part.degrees[place] for part in parts)) * float(np.sqrt(self.quality.covariance[place, place]))
        return MeasureFigures(value=value, ci=[max(0.0, value - reach), min(1.0, value + reach)], n=units)


def _t(degrees: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))


def take(models: Mapping[str, Samples], weights: Mapping[str, float], *, turns_expected: bool = False) -> Taken:
    """The measures of the models that have a sample; `turns_expected` is that of measures.quality."""
    with_samples = {key: samples for key, samples in models.items() if any(map(len, samples.values()))}
    keys = tuple(with_samples)
    if not keys:
        return Taken(keys=())
    asked, turns = (_prompts(with_samples, of) for of in Measure)
    instructions = measures.instructions(_cube(with_samples, asked)) if asked else None
    own_turns = _own_turns(with_samples, turns) if turns else None
    return Taken(
        keys=keys,
        instructions=instructions,
        own_turns=own_turns,
        quality=_quality(instructions, own_turns, weights, turns_expected),
    )


def _own_turns(models: Mapping[str, Samples], turns: Sequence[Prompt]) -> Measured:
    """What a reply adds to its model's value may lie outside 0..1; the value does not."""
    measured = measures.own_turns(_mean(_cube(models, turns)), _numbers(turns))
    return replace(measured, value=np.clip(measured.value, 0.0, 1.0))


def _quality(
    instructions: Measured | None, own_turns: Measured | None, weights: Mapping[str, float], turns_expected: bool
) -> Quality | None:
    if instructions is None:
        if own_turns is None:
            return None
        alone = measures.quality(own_turns, None, {"instructions": 1.0, "own_turns": 0.0})
        return replace(alone, weights={"own_turns": 1.0})
    if own_turns is not None and not weights["instructions"]:
        return measures.quality(instructions, own_turns, weights)
    usable = weights if weights["instructions"] else measures.WEIGHTS
    return measures.quality(instructions, own_turns, usable, turns_expected=turns_expected)


def _prompts(models: Mapping[str, Samples], of: Measure) -> list[Prompt]:
    """All prompts of a measure that some model answered, in order."""
    return sorted({prompt for samples in models.values() for prompt in samples if measure(prompt) is of})


def _cube(models: Mapping[str, Samples], prompts: Sequence[Prompt]) -> measures.Floats:
    """Models x prompts x samples; NaN where there is none."""
    most = max((len(samples.get(prompt, ())) for samples in models.values() for prompt in prompts), default=1)
    cube = np.full((len(models), len(prompts), max(1, most)), np.nan)
    for row, samples in enumerate(models.values()):
        for column, prompt in enumerate(prompts):
            values = samples.get(prompt, ())
            cube[row, column, : len(values)] = values
    return cube


def _mean(cube: measures.Floats) -> measures.Floats:
    """Mean of the samples; NaN where there is none."""
    counts = np.isfinite(cube).sum(axis=2)
    return np.divide(np.nansum(cube, axis=2), counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def _numbers(prompts: Sequence[Prompt]) -> NDArray[np.int64]:
    """A number for the cluster of each prompt."""
    clusters: dict[str, int] = {}
    return np.array([clusters.setdefault(cluster, len(clusters)) for cluster, _ in prompts], dtype=np.int64)
