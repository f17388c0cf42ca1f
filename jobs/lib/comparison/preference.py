"""The owner's votes and the scores in one posterior, and which pair of models to ask about next.

A model's utility is on the log-odds scale of R. A. Bradley and M. E. Terry, Biometrika 39 (1952) 324-345. Its prior
comes from the scores, which weigh as much as they agree with the votes so far: with correlation r, a lead of d by score
is expected to be r d by ear, and a variance of 1 - r^2 is left that scores cannot tell. The likelihood is that of the
votes, the posterior its normal approximation at the mode (D. J. C. MacKay, Neural Computation 4 (1992) 720-736).

Asked is about the leader and the challenger that would gain most: D. Russo, "Simple Bayesian algorithms for best-arm
identification", COLT 2016, in the deterministic form of C. Qin, D. Klabjan and D. Russo, "Improving the expected
improvement algorithm", NIPS 2017. A session ends when the leader's expected loss is small, not when a ranking is known.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison.measures import Floats, variance_of_difference
from jobs.lib.comparison.posterior import LEAST_GAIN, Posterior, normal_draws, summarize

#: Log odds with which one model is preferred to another whose quality is lower by 1: 0.1 of quality is 73 to 27.
ODDS_OF_QUALITY = 10.0
#: Standard deviation of the models' log odds before any vote: of two models, one is preferred 71 to 29.
EAR_SD = 0.8

MOST_VOTES = 15  #: of a session
REAL_CHANCE = 0.02  #: of being better than the leader, under which a model is not asked about, unless it is one of two

#: The owner's votes name a model where this is the chance that it is the best, from so many votes on. The owner looks
#: after every vote and stops at will; of models that are liked alike, one is then named within 40 votes in about 4 % of
#: two and 5 % of three. Two need more than three, because all votes are about one pair.
NAMED, NAMED_OF_TWO, LEAST_VOTES = 0.95, 0.99, 10

#: Agreement before any vote, as pseudo-votes for and against the scores: an expected correlation of 0.5.
AGREED_BEFORE, DIFFERED_BEFORE = 4.0, 2.0
BETA_PARTS = 64  #: parts of equal chance over whose middles is averaged


@dataclass(frozen=True)
class Vote:
    """An answer of the owner's about a reply of each of two models, as places in the posterior."""

    first: int
    second: int
    share: float  #: of the win that goes to the first: 1, 0, or 0.5 where neither was preferred
    scores: tuple[float, float] | None = None  #: of the two replies; None where one was not scored


@dataclass(frozen=True)
class VoteLog:
    """The answers so far, in their order; `undo` takes the last one back."""

    votes: tuple[Vote, ...] = ()

    def add(self, vote: Vote) -> VoteLog:
        return VoteLog((*self.votes, vote))

    def undo(self) -> VoteLog:
        """Without the last answer; of an empty log the log itself."""
        return VoteLog(self.votes[:-1])

    def __len__(self) -> int:
        return len(self.votes)


@dataclass(frozen=True)
class Agreement:
    """How often the owner preferred the reply with the better score, of the votes that can tell."""

    agreed: int
    of: int

    @property
    def correlation(self) -> float:
        """Expected correlation of scores with the owner's ear: 0.5 before a vote, then moved by the votes; 0 to 1.

        W. F. Sheppard, Phil. Trans. A 192 (1899) 101-167: two normal variables with correlation r have differences of
        the same sign with chance 1/2 + arcsin(r) / pi. That chance has a beta distribution, and a chance under a half
        counts as a correlation of 0. The mean over it, so that a few votes that differ silence no score.
        """
        return _expected_correlation(self.agreed, self.of - self.agreed)


@functools.cache
def _expected_correlation(agreed: int, differed: int) -> float:
    from scipy.special import betaincinv

    parts = (np.arange(BETA_PARTS) + 0.5) / BETA_PARTS
    shares = betaincinv(agreed + AGREED_BEFORE, differed + DIFFERED_BEFORE, parts)
    return float(np.maximum(0.0, np.sin(np.pi * (shares - 0.5))).mean())


def agreement(votes: Sequence[Vote]) -> Agreement:
    """Agreement over the votes that prefer one of two replies with different scores."""
    told = [vote for vote in votes if vote.scores and vote.share != 0.5 and vote.scores[0] != vote.scores[1]]
    agreed = sum((vote.share > 0.5) == (vote.scores[0] > vote.scores[1]) for vote in told if vote.scores)
    return Agreement(agreed, len(told))


@dataclass(frozen=True)
class ScorePrior:
    """What the scores say before any vote, in units of quality: mean of each model, and covariance of the means."""

    mean: Floats
    covariance: Floats

    @classmethod
    def of(cls, posterior: Posterior) -> ScorePrior:
        centred = posterior.draws - posterior.draws.mean(axis=1, keepdims=True)
        return cls(posterior.mean, np.atleast_2d(np.cov(centred.T)))

    def only(self, places: Sequence[int]) -> ScorePrior:
        """The same about some of the models alone, in this order."""
        return ScorePrior(self.mean[list(places)], self.covariance[np.ix_(places, places)])

    def utility(self, correlation: float) -> tuple[Floats, Floats]:
        """Mean and covariance of the models' utilities, where scores correlate so far with the owner's ear."""
        weight = correlation * ODDS_OF_QUALITY
        apart = (1 - correlation**2) * EAR_SD**2 * np.eye(len(self.mean))
        return weight * (self.mean - self.mean.mean()), weight**2 * self.covariance + apart


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What scores and votes say together."""

    utility: Floats  #: models, log odds
    covariance: Floats  #: of the utilities, models x models
    centre: float  #: mean quality of the models by the scores
    agreement: Agreement
    votes: int

    @functools.cached_property
    def posterior(self) -> Posterior:
        """The belief about the utilities in units of quality."""
        draws = normal_draws(self.utility, self.covariance) / ODDS_OF_QUALITY
        sd = (draws - draws.mean(axis=1, keepdims=True)).std(axis=0)
        return summarize(self.centre + draws, self.centre + self.utility / ODDS_OF_QUALITY, sd)

    @property
    def leader(self) -> int:
        return int(np.argmax(self.utility))

    def chance_above(self, model: int, other: int) -> float:
        """Chance that the owner prefers `model` to `other`."""
        from scipy.special import ndtr

        lead = (self.utility[model] - self.utility[other]) / _sd_of_differences(self.covariance)[model, other]
        return float(ndtr(lead))

    @functools.cached_property
    def chance_above_leader(self) -> Floats:
        """For each other model the chance that the owner prefers it to the leader; 0 for the leader."""
        from scipy.special import ndtr

        behind = (self.utility - self.utility[self.leader]) / _sd_of_differences(self.covariance)[self.leader]
        return np.where(np.arange(len(behind)) == self.leader, 0.0, ndtr(behind))

    @property
    def winner(self) -> int | None:
        """The model that is the best with the chance `named_from`, from LEAST_VOTES on.

        The chance is at least one less the sum of the others' (C. E. Bonferroni).
        """
        sure = 1 - self.chance_above_leader.sum() >= named_from(len(self.utility))
        return self.leader if sure and self.votes >= LEAST_VOTES else None

    def is_decided(self, gain: float = LEAST_GAIN, most: int = MOST_VOTES) -> bool:
        """Whether further answers are not worth asking for."""
        return self.votes >= most or bool(self.posterior.loss[self.leader] < gain)


def named_from(models: int) -> float:
    """The chance of being the best from which on votes name one of so many models."""
    return NAMED_OF_TWO if models <= 2 else NAMED


def hear(scores: ScorePrior, votes: Sequence[Vote]) -> Heard:
    """The posterior after the votes. Without a vote it still counts that scores may disagree with the owner's ear."""
    agreed = agreement(votes)
    mean, covariance = scores.utility(agreed.correlation)
    utility, covariance = laplace(mean, covariance, wins(votes, len(mean)))
    centre = float(scores.mean.mean())
    return Heard(utility=utility, covariance=covariance, centre=centre, agreement=agreed, votes=len(votes))


def wins(votes: Sequence[Vote], models: int) -> Floats:
    """How often each model was preferred to each other, models x models; a tie is half a win for each."""
    table = np.zeros((models, models))
    for vote in votes:
        if vote.first != vote.second:
            table[vote.first, vote.second] += vote.share
            table[vote.second, vote.first] += 1 - vote.share
    return table


def laplace(mean: Floats, covariance: Floats, won: Floats, steps: int = 12) -> tuple[Floats, Floats]:
    """Mode and covariance of the utilities, from a normal prior and a table of wins; leading axes are many at once.

    Newton's method on the log posterior, which is concave.
    """
    prior = np.linalg.inv(covariance)
    played = won + np.swapaxes(won, -1, -2)
    utility = mean
    for _ in range(steps):
        chance = 1 / (1 + np.exp(utility[..., None, :] - utility[..., :, None]))
        slope = (won - played * chance).sum(axis=-1) - (prior @ (utility - mean)[..., None])[..., 0]
        spread = np.linalg.inv(prior + _information(played, chance))
        step = (spread @ slope[..., None])[..., 0]
        utility = utility + step
        if np.abs(step).max() < 1e-9:
            break
    return utility, np.asarray(spread)


def _information(played: Floats, chance: Floats) -> Floats:
    """Fisher information of the votes about the utilities."""
    told = played * chance * (1 - chance)
    return np.asarray(told.sum(axis=-1)[..., None] * np.eye(told.shape[-1]) - told)


# ------------------------------------------------------------------------------------------------ what to ask next


def next_pair(heard: Heard, askable: NDArray[np.bool_] | None = None) -> tuple[int, int] | None:
    """Leader and challenger, or None where no pair is left.

    `askable`, models x models, marks the pairs of which a question is left; where the leader has none, the best pair of
    others is taken.
    """
    models = len(heard.utility)
    open_ = ~np.eye(models, dtype=bool) if askable is None else askable & askable.T & ~np.eye(models, dtype=bool)
    gains = _improvements(heard.utility, heard.covariance)
    order = [int(model) for model in np.argsort(-heard.utility, kind="stable")]
    real = {int(model) for model in np.flatnonzero(heard.chance_above_leader >= REAL_CHANCE)} | set(order[:2])
    for among in (real, set(range(models))):
        for leader in (model for model in order if model in among):
            rivals = [other for other in among if open_[leader, other]]
            if rivals:
                return leader, int(max(rivals, key=lambda other: (gains[leader, other], -other)))
    return None


def _improvements(utility: Floats, covariance: Floats) -> Floats:
    """Expected amount by which the model of the column is better than that of the row, where it is; models x models."""
    from scipy.special import ndtr

    sd = _sd_of_differences(covariance)
    z = (utility[None, :] - utility[:, None]) / sd
    return np.asarray(sd * (np.exp(-z * z / 2) / math.sqrt(2 * math.pi) + z * ndtr(z)))


def _sd_of_differences(covariance: Floats) -> Floats:
    """Standard deviation of the difference of each two utilities, models x models."""
    return np.sqrt(np.maximum(variance_of_difference(covariance), 1e-12))


def answers_left(scores: ScorePrior, log: VoteLog, gain: float = LEAST_GAIN, most: int = MOST_VOTES) -> int:
    """How many further answers decide at best: so many in a row for the leader of now; 0 where it is decided.

    Never more than are left of `most`.
    """
    start = len(log)
    leader = hear(scores, log.votes).leader
    while True:
        heard = hear(scores, log.votes)
        if heard.is_decided(gain, most):
            return len(log) - start
        others = [model for model in range(len(heard.utility)) if model != leader]
        gains = _improvements(heard.utility, heard.covariance)[leader]
        log = log.add(Vote(leader, max(others, key=lambda other: float(gains[other])), 1.0))
