"""What to do about the model in use: switch, keep, or undecided together with the cheapest thing that would decide it.

A decision weighs what it costs to be wrong, where a test asks whether it could be luck: D. V. Lindley, Making Decisions
(1985), chapter 4. What a further look would bring is told before it is taken from how far the expected difference may
still move: H. Raiffa and R. Schlaifer, Applied Statistical Decision Theory (1961), chapter 5 (preposterior analysis).
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison.measures import Measure, Quality, variance_of_difference
from jobs.lib.comparison.posterior import LEAST_GAIN, Posterior
from jobs.lib.comparison.preference import EAR_SD, MOST_VOTES, ODDS_OF_QUALITY

SWITCH_CHANCE = 0.8  #: that the pick is better than the present model
BEATS_CANNED = 0.9  #: chance of being better than a canned reply, under which no model is recommended
HELPS = 0.5  #: chance that a remedy leads to a decision, under which it is not offered
#: Variance in log odds of what one vote tells: 1 / (p (1 - p)), at p = 0.3.
VOTE_VARIANCE = 4.8


class Action(enum.StrEnum):
    SWITCH = "switch"
    KEEP = "keep"
    UNDECIDED = "undecided"


class Remedy(enum.StrEnum):
    MORE_ROUNDS = "more rounds"
    VOTES = "votes"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The advice of a comparison."""

    action: Action
    pick: int  #: the best guess, always given
    recommended: bool  #: the pick passes the gates and beats a canned reply
    rival: int | None  #: the present model, or the runner-up where no present one was compared or it is the pick
    chance: float | None  #: that the pick is better than the rival
    gain: float | None  #: expected quality of the pick less that of the rival
    remedy: Remedy | None = None  #: of an undecided one
    votes: int | None = None  #: between pick and rival, where votes are the remedy


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What could still be asked, as variances of the error of the difference between pick and rival."""

    now: float
    after_more_rounds: float | None  #: None where nothing is left to ask
    agreement: float = 0.5  #: correlation of the scores with the owner's votes, see jobs.lib.comparison.preference


def decide(
    posterior: Posterior,
    eligible: NDArray[np.bool_],
    present: int | None,
    *,
    least_gain: float = LEAST_GAIN,
) -> Decision:
    """The action, without a remedy yet.

    `eligible` marks the models that pass the gates and beat a canned reply with the chance BEATS_CANNED. Without one,
    the present model is kept and the pick is the best of all, not recommended.
    """
    among = posterior.best_of(eligible) if eligible.any() else posterior
    pick, recommended = among.pick, bool(eligible.any())
    rival = present if present is not None and present != pick else _runner_up(among, pick)
    chance = None if rival is None else posterior.chance_better(pick, rival)
    gain = None if rival is None else posterior.gap(pick, rival)[0]
    action = _action(posterior, among, pick, present, least_gain) if recommended else _without_any(present)
    return Decision(action=action, pick=pick, recommended=recommended, rival=rival, chance=chance, gain=gain)


def _action(posterior: Posterior, among: Posterior, pick: int, present: int | None, least_gain: float) -> Action:
    if present is None:
        return Action.SWITCH if among.loss[pick] < least_gain else Action.UNDECIDED
    if pick == present:
        return Action.KEEP
    if posterior.chance_better(pick, present) >= SWITCH_CHANCE and posterior.gap(pick, present)[0] >= least_gain:
        return Action.SWITCH
    return Action.KEEP if _cost_of_keeping(posterior, among, present) < least_gain else Action.UNDECIDED


def _cost_of_keeping(posterior: Posterior, among: Posterior, present: int) -> float:
    """Expected quality lost by keeping the present model, against the best of those that may be chosen."""
    lost = among.draws.max(axis=1) - posterior.draws[:, present]
    return float(np.maximum(lost, 0.0).mean())


def _without_any(present: int | None) -> Action:
    return Action.KEEP if present is not None else Action.UNDECIDED


def _runner_up(posterior: Posterior, pick: int) -> int | None:
    others = [
        int(model) for model in np.argsort(-posterior.mean) if model != pick and np.isfinite(posterior.mean[model])
    ]
    return others[0] if others else None


# ----------------------------------------------------------------------------------------- what would decide it


def outlook(
    quality: Quality,
    measures: tuple[Measure, Measure | None],
    pair: tuple[int, int],
    more: float,
    agreement: float = 0.5,
) -> Outlook:
    """What further rounds would do to the error of a pair: `more` is how many times the conversations asked so far
    could be asked in all, 1 where there is no further one. Instructions are a fixed list and gain nothing.
    """
    now = float(variance_of_difference(quality.covariance)[pair])
    turns = measures[1]
    if turns is None or more <= 1:
        return Outlook(now=now, after_more_rounds=None, agreement=agreement)
    share = quality.weights.get("own_turns", 0.0) ** 2
    of_turns = share * float(variance_of_difference(turns.covariance)[pair])
    return Outlook(now=now, after_more_rounds=now - of_turns * (1 - 1 / more), agreement=agreement)


def with_remedy(decision: Decision, posterior: Posterior, left: Outlook, *, least_gain: float = LEAST_GAIN) -> Decision:
    """An undecided decision with the cheapest thing that would decide it at least half the time: first what the machine
    can do alone, then the owner's votes."""
    if decision.action is not Action.UNDECIDED or decision.rival is None or not decision.recommended:
        return decision
    mean, sd = posterior.gap(decision.pick, decision.rival)
    if left.after_more_rounds is not None:
        after = _sd_after(sd, left.now, left.after_more_rounds)
        if chance_of_decision(mean, sd, after, least_gain) >= HELPS:
            return _remedied(decision, Remedy.MORE_ROUNDS)
    votes = votes_wanted(mean, sd, left.agreement, least_gain)
    return _remedied(decision, Remedy.NOTHING if votes is None else Remedy.VOTES, votes)


def _remedied(decision: Decision, remedy: Remedy, votes: int | None = None) -> Decision:
    return Decision(**{**vars(decision), "remedy": remedy, "votes": votes})


def _sd_after(sd: float, now: float, then: float) -> float:
    """Posterior standard deviation after the variance of the error has fallen; what the prior knows stays."""
    prior = max(0.0, 1 / sd**2 - 1 / now)
    return math.sqrt(1 / (1 / then + prior))


def votes_wanted(mean: float, sd: float, agreement: float, least_gain: float = LEAST_GAIN) -> int | None:
    """The least number of votes between two models that decides at least half the time; None where MOST_VOTES do not.

    `mean` and `sd` are of their difference by the scores. By ear it is that times `agreement`, and apart from it.
    """
    apart = 2 * (1 - agreement**2) * (EAR_SD / ODDS_OF_QUALITY) ** 2
    prior = math.sqrt((agreement * sd) ** 2 + apart)
    one = VOTE_VARIANCE / ODDS_OF_QUALITY**2
    for votes in range(1, MOST_VOTES + 1):
        after = math.sqrt(1 / (1 / prior**2 + votes / one))
        if chance_of_decision(agreement * mean, prior, after, least_gain) >= HELPS:
            return votes
    return None


def chance_of_decision(mean: float, sd: float, after: float, least_gain: float = LEAST_GAIN) -> float:
    """Chance that the difference of two models is decided once its standard deviation is `after` instead of `sd`."""
    from scipy.special import ndtr

    moves = math.sqrt(max(sd**2 - after**2, 1e-12))
    switch = max(least_gain, 0.8416 * after)  # the normal quantile of SWITCH_CHANCE
    keep = _largest_kept(after, least_gain)
    return float(ndtr((mean - switch) / moves) + ndtr((min(keep, switch) - mean) / moves))


def _largest_kept(sd: float, least_gain: float) -> float:
    """The expected difference at which keeping costs `least_gain`: the root of sd phi(z) + mean Phi(z), by halving."""
    low, high = -10 * sd - least_gain, least_gain
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if expected_excess(middle, sd) > least_gain else (middle, high)
    return low


def expected_excess(mean: float, sd: float) -> float:
    """Expected value of a normal variable where it is above 0, and 0 elsewhere."""
    z = mean / sd
    return sd * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + mean * 0.5 * math.erfc(-z / math.sqrt(2))
