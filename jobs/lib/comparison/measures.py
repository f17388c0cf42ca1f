"""The two measures of a model's replies, each with the covariance of its errors, and the quality made of both.

`instructions` is about a fixed list of prompts: other prompts were never meant, so what is uncertain is only which
samples a model happened to draw. `own_turns` is about the owner's conversations, of which those asked are a sample:
what is uncertain is how a model would do in others, so the conversation is the unit. The two never enter one mean of
prompts: quality weighs them by fixed weights, so that its meaning does not move while turns are added to a night.

Arrays have the models on the first axis; NaN marks what a model was not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Least number of conversations for which an interval is given.
MIN_CONVERSATIONS = 8

#: Variance of one reply's score around the mean of its prompt, before any prompt was asked twice, and how many degrees
#: of freedom that guess is worth. Scores of 0 or 1 have at most 0.25, and at 0.9 have 0.09.
REPLY_VARIANCE, REPLY_DEGREES = 0.10, 10.0

#: Share of the residual of an additive fit that is no accident of samples but a model's own way with a prompt.
QUIRKS = 0.15

#: Degrees of freedom of that residual from which on it stands for a variance that was observed: two models on 13
#: prompts have 12.
LEAST_RESIDUAL = 10

#: Variance between conversations of the difference of a model from the mean of all, before any was seen.
CONVERSATION_VARIANCE, CONVERSATION_DEGREES = 0.01, 2.0

#: How many degrees of freedom the pooled variance of all models is worth beside a model's own.
POOLED_DEGREES = 10.0

#: Variance of a model's value on a measure that only the other models have.
UNMEASURED_VARIANCE = 0.10**2

WEIGHTS = {"instructions": 0.5, "own_turns": 0.5}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of each model, with the errors that its estimate makes."""

    value: Floats  #: models; NaN where a model has none
    covariance: Floats  #: models x models, of the errors; 0 in the row and column of a model that has no value
    degrees: Floats  #: models; degrees of freedom of a model's own variance
    n: NDArray[np.int64]  #: models; independent units: prompts, or conversations
    has_interval: NDArray[np.bool_]  #: models; False where an interval would not cover what it promises
    observed: NDArray[np.bool_]  #: models; False where the variance is a guess, so that no test is possible

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.value)

    def interval(self, model: int, confidence: float = 0.95) -> list[float] | None:
        """Student's t interval of a model's value within 0..1, or None where it would be no interval."""
        from scipy.special import stdtrit

        if not self.has_interval[model]:
            return None
        reach = stdtrit(self.degrees[model], 0.5 + confidence / 2) * np.sqrt(self.covariance[model, model])
        value = self.value[model]
        return [float(max(0.0, value - reach)), float(min(1.0, value + reach))]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The weighted sum of the measures that were taken."""

    value: Floats  #: models; NaN for a model without any measure
    covariance: Floats  #: models x models, of the errors
    degrees: Floats  #: models x models; degrees of freedom of the variance of each difference
    weights: Mapping[str, float]  #: measure -> its weight, summing to 1; a measure that no model has is not in it
    tested: NDArray[np.bool_]  #: models; every measure was taken and its variance observed


def instructions(scores: Floats) -> Measure:
    """The mean over a fixed list of prompts; `scores` is models x prompts x samples, each 0..1.

    A model's error is that of its samples within prompts (B. L. Welch, "The generalization of Student's problem when
    several different population variances are involved", Biometrika 34 (1947) 28-35), its variance moderated towards
    that of all models (G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) article 3). Where no prompt was asked twice,
    the pooled one is a prior guess together with what an additive fit of models and prompts leaves, less QUIRKS. A
    prompt that a model was not asked takes the value of that fit, with its error.
    """
    counts = np.isfinite(scores).sum(axis=2)
    sums = np.nansum(scores, axis=2)
    cells = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    fit, residual = _additive(cells)
    own_squares = np.nansum((scores - cells[:, :, None]) ** 2, axis=(1, 2))
    own_degrees = np.maximum(counts - 1, 0).sum(axis=1)
    pooled = _pooled_reply_variance(own_squares, own_degrees, residual) * _near_the_ends(np.nanmean(cells, axis=1))
    variance = (POOLED_DEGREES * pooled + own_squares) / (POOLED_DEGREES + own_degrees)
    return _of_prompts(np.where(counts > 0, cells, fit), counts, variance, own_degrees, residual)


def _pooled_reply_variance(squares: Floats, degrees: NDArray[np.int64], residual: _Residual) -> float:
    """Variance of a reply's score within its prompt, over all models."""
    total, count = REPLY_DEGREES * REPLY_VARIANCE + squares.sum(), REPLY_DEGREES + degrees.sum()
    if degrees.sum() == 0:
        total += residual.degrees * (1 - QUIRKS) * residual.variance
        count += residual.degrees
    return float(total / count)


def _near_the_ends(means: Floats) -> Floats:
    """By how much scores of a model vary more or less than those of all, because its mean is nearer to 0 or 1.

    A score within 0..1 varies as mean (1 - mean), as shares do. Half of a model's distance from the others counts,
    since its mean is uncertain; NaN for a model without a score.
    """
    grand = np.nanmean(means)
    middle = np.clip((means + grand) / 2, 0.05, 0.95)
    common = np.clip(grand, 0.05, 0.95)
    return np.asarray(middle * (1 - middle) / (common * (1 - common)))


def _of_prompts(
    cells: Floats, counts: NDArray[np.int64], variance: Floats, degrees: NDArray[np.int64], residual: _Residual
) -> Measure:
    """The measure from the value of each model at each prompt, those that it was not asked filled in."""
    prompts = cells.shape[1]
    asked = (counts > 0).sum(axis=1)
    sampling = np.divide(variance[:, None], counts, out=np.zeros(counts.shape), where=counts > 0).sum(axis=1)
    unseen = prompts - asked
    spread = np.maximum(residual.variance, variance)
    guessed = spread * (unseen + unseen**2 / np.maximum(asked, 1))
    known = asked > 0
    return Measure(
        value=np.where(known, cells.mean(axis=1), np.nan),
        covariance=np.diag(np.where(known, (sampling + guessed) / prompts**2, 0.0)),
        degrees=np.where(degrees > 0, POOLED_DEGREES + degrees, REPLY_DEGREES + residual.degrees).astype(np.float64),
        n=asked,
        has_interval=known & (degrees >= asked),
        observed=known & ((degrees >= asked) | (residual.degrees >= LEAST_RESIDUAL)),
    )


def own_turns(scores: Floats, conversations: NDArray[np.int64]) -> Measure:
    """The mean over conversations of the mean over their turns; `scores` is models x turns, each 0..1.

    `conversations` names the conversation of each turn. The errors of two models are correlated, because both were
    asked the same: E. Miller, "Adding error bars to evals", arXiv 2411.00640 (2024), sections 2.2 and 4. With few
    conversations the sample covariance is shrunken towards one common variance and one common correlation (O. Ledoit
    and M. Wolf, "Honey, I shrunk the sample covariance matrix", J. Portfolio Management 30 (2004) 110-119), by degrees
    of freedom. A turn that a model was not asked takes the value of an additive fit of models and turns.
    """
    asked = np.isfinite(scores)
    fit, _ = _additive(scores)
    filled = np.where(asked, scores, fit)
    member = (conversations == np.unique(conversations)[:, None]).astype(float)  # conversations x turns
    means = filled @ (member / member.sum(axis=1, keepdims=True)).T
    seen = (asked @ member.T > 0).sum(axis=1)
    known = seen > 0
    covariance = np.zeros((len(scores), len(scores)))
    covariance[np.ix_(known, known)] = _covariance_of_means(means[known], seen[known])
    return Measure(
        value=np.where(known, means.mean(axis=1), np.nan),
        covariance=covariance,
        degrees=np.asarray(np.maximum(seen - 1, 1), dtype=np.float64),
        n=seen,
        has_interval=seen >= MIN_CONVERSATIONS,
        observed=seen >= 2,
    )


def _covariance_of_means(means: Floats, seen: NDArray[np.int64]) -> Floats:
    """Covariance of the models' means over conversations, models x models; `means` is models x conversations."""
    models, count = means.shape
    centred = means - means.mean(axis=1, keepdims=True)
    degrees = np.maximum(seen - 1, 1)
    sample = centred @ centred.T / np.sqrt(np.outer(degrees, degrees))
    residual = centred - centred.mean(axis=0)
    freedom = (models - 1) * (count - 1)
    own = CONVERSATION_DEGREES * CONVERSATION_VARIANCE + (residual**2).sum()
    apart = own / (CONVERSATION_DEGREES + freedom)
    shared = max(0.0, float(sample.mean() - apart / models))
    target = shared + apart * np.eye(models)
    trust = (count - 1) / (count - 1 + POOLED_DEGREES)
    return np.asarray((trust * sample + (1 - trust) * target) / np.sqrt(np.outer(seen, seen)))


def degrees_of_difference(measure: Measure, *, paired: bool) -> Floats:
    """Degrees of freedom of the variance of each difference of two models, models x models.

    Two independent variances add up by F. E. Satterthwaite, Biometrics Bulletin 2 (1946) 110-114; a paired one has
    those of the conversations that both models answered, and those of the pooled variance.
    """
    if paired:
        return np.minimum.outer(measure.degrees, measure.degrees) + CONVERSATION_DEGREES
    variance = np.diag(measure.covariance)
    total = np.add.outer(variance, variance)
    parts = np.add.outer(variance**2 / measure.degrees, variance**2 / measure.degrees)
    return np.asarray(np.divide(total**2, parts, out=np.ones_like(total), where=parts > 0))


def quality(
    asked: Measure,
    turns: Measure | None,
    weights: Mapping[str, float] = WEIGHTS,
    *,
    turns_expected: bool = False,
) -> Quality:
    """The weighted sum of both measures; where no model has one of them, the other stands alone.

    A model that lacks a measure the others have takes their mean, with the variance UNMEASURED_VARIANCE.
    `turns_expected` is for decisions before the first turn was asked: the variance then counts what the turns may
    still say, so that no model is given up for its instructions alone.
    """
    measures = {"instructions": asked, "own_turns": turns}
    taken = {name: measure for name, measure in measures.items() if measure is not None and measure.known.any()}
    total = sum(weights[name] for name in taken) or 1.0
    shares = {name: weights[name] / total for name in taken if weights[name] > 0}
    parts = [(shares[name], taken[name], name == "own_turns") for name in shares]
    missing = weights["own_turns"] / weights["instructions"] if turns_expected and "own_turns" not in taken else 0.0
    return _weighted(parts, shares, missing**2 * UNMEASURED_VARIANCE)


def _weighted(parts: Sequence[tuple[float, Measure, bool]], weights: Mapping[str, float], extra: float) -> Quality:
    filled = [(share, *_completed(measure)) for share, measure, _ in parts]
    known = np.any([measure.known for _, measure, _ in parts], axis=0)
    tested = np.all([measure.known & measure.observed for _, measure, _ in parts], axis=0)
    covariance = sum((share**2 * errors for share, _, errors in filled), np.zeros(()))
    value = sum((share * values for share, values, _ in filled), np.zeros(()))
    return Quality(
        value=np.where(known, value, np.nan),
        covariance=covariance + extra * np.eye(len(known)),
        degrees=_satterthwaite(parts),
        weights=weights,
        tested=tested,
    )


def _completed(measure: Measure) -> tuple[Floats, Floats]:
    """Values and covariance with an entry for the models without the measure."""
    known = measure.known
    mean = float(measure.value[known].mean())
    between = float(measure.value[known].var(ddof=1)) if known.sum() > 1 else 0.0
    wide = np.where(known, 0.0, max(UNMEASURED_VARIANCE, between))
    return np.where(known, measure.value, mean), measure.covariance + np.diag(wide)


def _satterthwaite(parts: Sequence[tuple[float, Measure, bool]]) -> Floats:
    """Degrees of freedom of the weighted differences, models x models (Satterthwaite, as above)."""
    total, squares = np.zeros(()), np.zeros(())
    for share, measure, paired in parts:
        variance = share**2 * variance_of_difference(measure.covariance)
        total = total + variance
        squares = squares + variance**2 / degrees_of_difference(measure, paired=paired)
    return np.asarray(np.divide(total**2, squares, out=np.ones_like(total), where=squares > 0))


def variance_of_difference(covariance: Floats) -> Floats:
    """Variance of the difference of each two models, models x models."""
    own = np.diag(covariance)
    return np.asarray(np.add.outer(own, own) - 2 * covariance)


@dataclass(frozen=True)
class _Residual:
    """What an additive fit of models and columns leaves."""

    variance: float
    degrees: int


def _additive(cells: Floats, passes: int = 20) -> tuple[Floats, _Residual]:
    """Fitted values of model + column by least squares over the cells that are known, and what they leave.

    Alternating means, exact after one pass where no cell is missing. J. W. Tukey, Exploratory Data Analysis (1977),
    has the same by medians.
    """
    known = np.isfinite(cells)
    values, rows, columns = np.where(known, cells, 0.0), np.zeros(len(cells)), np.zeros(cells.shape[1])
    in_row, in_column = np.maximum(known.sum(axis=1), 1), np.maximum(known.sum(axis=0), 1)
    for _ in range(1 if known.all() else passes):
        columns = ((values - rows[:, None]) * known).sum(axis=0) / in_column
        rows = ((values - columns) * known).sum(axis=1) / in_row
    fit = rows[:, None] + columns
    degrees = int(known.sum() - known.any(axis=1).sum() - known.any(axis=0).sum() + 1)
    squares = float((((values - fit) ** 2) * known).sum())
    return fit, _Residual(squares / degrees if degrees > 0 else 0.0, max(degrees, 0))


def failed_scenarios(scores: Floats, scenarios: Sequence[Any]) -> list[list[Any]]:
    """For each model the scenarios in which every reply got 0, in their order; `scenarios` is that of each prompt.

    A scenario counts from two replies on: one alone fails by bad luck too often.
    """
    failed: list[list[Any]] = []
    for model in scores:
        groups = {name: model[[other == name for other in scenarios]] for name in dict.fromkeys(scenarios)}
        told = {name: group[np.isfinite(group)] for name, group in groups.items()}
        failed.append([name for name, values in told.items() if len(values) > 1 and not values.any()])
    return failed
