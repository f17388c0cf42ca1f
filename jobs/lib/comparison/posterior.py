"""What is believed of the models after a night: which is the best, with what chance, and what a choice costs.

Quality is estimated with errors of known covariance; the true qualities of the models are taken to be spread normally
around an unknown mean by an unknown amount. Estimates are therefore drawn towards one another, the more the noisier
they are: B. Efron and C. Morris, "Data analysis using Stein's estimator and its generalizations", JASA 70 (1975)
311-319; D. V. Lindley and A. F. M. Smith, J. R. Stat. Soc. B 34 (1972) 1-41. How far the models are apart is
integrated over a grid, because six models tell too little of it to be plugged in. Its prior is a Rayleigh distribution,
which is 0 at 0, as different models are never equally good (Y. Chung and others, Psychometrika 78 (2013) 685-709, with
a gamma distribution). Only differences are drawn together: the common mean has a flat prior.

All is deterministic: the draws are one fixed sequence of evenly spread points.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison.measures import Floats, Quality

#: Likeliest value, before any reply is seen, of how far the models are apart, in units of quality.
SPREAD = 0.08
GRID = 24  #: values of that spread
DRAWS = 2**11

#: Models are called nearly as good up to this difference, and a change pays from it on.
LEAST_GAIN = 0.03


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What is believed of each model's quality; every array has the models on its last axis."""

    draws: Floats  #: draws x models; their differences are those of the posterior, their common mean is the estimate
    mean: Floats
    sd: Floats  #: of a model's difference from the mean of all
    p_best: Floats
    loss: Floats  #: expected quality lost by choosing the model, against the best

    @property
    def pick(self) -> int:
        """The model whose choice costs least."""
        return int(np.argmax(self.mean))

    def near(self, model: int, gain: float = LEAST_GAIN) -> list[int]:
        """The other models that are expected within `gain` of `model`, best first."""
        gaps = np.abs(self.mean - self.mean[model])
        return [int(other) for other in np.argsort(-self.mean) if other != model and gaps[other] <= gain]

    def chance_better(self, model: int, other: int, gain: float = 0.0) -> float:
        """Chance that `model` is better than `other` by more than `gain`."""
        gap = self.draws[:, model] - self.draws[:, other]
        return float(np.mean(gap > gain) + (0.5 * np.mean(gap == 0.0) if gain == 0.0 else 0.0))

    def gap(self, model: int, other: int) -> tuple[float, float]:
        """Mean and standard deviation of the quality of `model` less that of `other`."""
        gap = self.draws[:, model] - self.draws[:, other]
        return float(gap.mean()), float(gap.std())

    def chance_near_best(self, gain: float = LEAST_GAIN) -> Floats:
        """For each model the chance that it is the best or within `gain` of it."""
        return np.asarray((self.draws >= self.draws.max(axis=1, keepdims=True) - gain).mean(axis=0))

    def best_of(self, allowed: NDArray[np.bool_]) -> Posterior:
        """The same belief over some of the models alone; the others have no chance and cost infinitely much."""
        return summarize(np.where(allowed, self.draws, -np.inf), np.where(allowed, self.mean, -np.inf), self.sd)


def infer(quality: Quality, spread: float = SPREAD) -> Posterior:
    """The posterior of the models' qualities; every model needs a value. One model alone is the best."""
    covariance = _with_few_degrees(quality)
    return shrink(quality.value, covariance, spread)


def _with_few_degrees(quality: Quality) -> Floats:
    """The covariance, wider where its variance is known from few degrees of freedom, as Student's t has it."""
    degrees = np.full(1, 1e9)
    if len(quality.value) > 1:
        degrees = np.maximum(np.sort(quality.degrees, axis=1)[:, 1], 3.0)  # the first is a model's with itself
    wider = np.sqrt(degrees / (degrees - 2))
    return np.asarray(quality.covariance * np.outer(wider, wider))


def shrink(value: Floats, covariance: Floats, spread: float = SPREAD) -> Posterior:
    """The posterior of values that were estimated with errors of a known covariance."""
    models = len(value)
    if models == 1:
        return summarize(value[None, :], value, np.zeros(1))
    basis = _contrasts(models)
    errors, axes = np.linalg.eigh(basis @ covariance @ basis.T)
    axes = basis.T @ axes  # models x contrasts
    components = _Components(axes.T @ value, np.maximum(errors, 1e-12))
    draws, mean = components.posterior(spread)
    centre = value.mean()
    differences = draws @ axes.T
    return summarize(centre + differences, centre + axes @ mean, differences.std(axis=0))


@dataclass(frozen=True)
class _Components:
    """Independent contrasts of the models: estimates and the variances of their errors."""

    value: Floats
    error: Floats

    def posterior(self, spread: float) -> tuple[Floats, Floats]:
        """Draws (draws x contrasts) from the posterior of the contrasts, and its exact mean."""
        scales = spread * _rayleigh_quantiles()
        total = scales[:, None] ** 2 + self.error
        weights = _normalized(-0.5 * (np.log(total) + self.value**2 / total).sum(axis=1))
        kept = scales[:, None] ** 2 / total  # grid x contrasts
        uniform, normal = _even_points(len(self.value))
        place = np.minimum(np.searchsorted(np.cumsum(weights), uniform), GRID - 1)
        draws = kept[place] * self.value + np.sqrt(kept * self.error)[place] * normal
        return draws, (weights @ kept) * self.value


def _normalized(log_weights: Floats) -> Floats:
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


@functools.cache
def _rayleigh_quantiles() -> Floats:
    """Values of equal prior weight of a Rayleigh distribution of scale 1: the middles of GRID slices."""
    return np.sqrt(-2 * np.log1p(-(np.arange(GRID) + 0.5) / GRID))


@functools.cache
def _contrasts(models: int) -> Floats:
    """Orthonormal contrasts, (models - 1) x models, after Helmert."""
    rows = np.tril(np.ones((models - 1, models))) - np.diag(np.arange(1.0, models), 1)[: models - 1]
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@functools.cache
def _even_points(size: int) -> tuple[Floats, Floats]:
    """One uniform and `size` normal numbers for each of DRAWS draws, spread evenly and always the same.

    Multiples of powers of an irrational number, modulo 1: H. Weyl, Math. Ann. 77 (1916) 313-352; the number is the root
    of x^(d+1) = x + 1, which generalizes the golden ratio to d dimensions (M. Roberts, "The unreasonable effectiveness
    of quasirandom sequences", 2018). The normal numbers are centred and scaled to mean 0 and variance 1.
    """
    from scipy.special import ndtri

    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (size + 2))
    steps = root ** -np.arange(1.0, size + 2)
    points = (0.5 + np.arange(1, DRAWS + 1)[:, None] * steps) % 1
    normal = ndtri(np.clip(points[:, 1:], 1e-9, 1 - 1e-9))
    return points[:, 0], (normal - normal.mean(axis=0)) / normal.std(axis=0)


def normal_draws(mean: Floats, covariance: Floats) -> Floats:
    """DRAWS draws from a normal distribution, always from the same numbers."""
    _, normal = _even_points(len(mean))
    values, axes = np.linalg.eigh(covariance)
    return np.asarray(mean + (normal * np.sqrt(np.maximum(values, 0.0))) @ axes.T)


def summarize(draws: Floats, mean: Floats, sd: Floats) -> Posterior:
    """Chance to be best, equal ones sharing it, and expected loss, from draws of all models together."""
    best = draws.max(axis=1)
    first = draws == best[:, None]
    share = first / first.sum(axis=1, keepdims=True)
    loss = np.maximum(best.mean() - draws.mean(axis=0), 0.0)
    return Posterior(draws=draws, mean=mean, sd=sd, p_best=share.mean(axis=0), loss=loss)
