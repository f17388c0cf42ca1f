"""What to do about the model in use, from the scores and the owner's votes together; the arithmetic is action.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.comparison import action, preferences
from jobs.lib.comparison.action import Action, Outlook, Remedy
from jobs.lib.comparison.measures import variance_of_difference
from jobs.lib.comparison.pairwise import Pairwise
from jobs.lib.comparison.posterior import LEAST_GAIN
from jobs.lib.comparison.preference import Agreement
from jobs.lib.comparison.preferences import KeyedVote, Preferences
from jobs.lib.comparison.two_measures import Taken

#: What the best canned reply reaches by the checks of the scenarios that come with the program (0.526): the bar of
#: `instructions` before a run has measured its own.
CANNED_FLOOR = 0.53


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a canned reply to everything reaches on each measure; None where that was not measured."""

    instructions: float | None = None
    own_turns: float | None = None


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The advice of a comparison; `chances` and what follows from them count the owner's votes too."""

    action: Action
    pick: str  #: the best guess
    recommended: bool  #: the pick passes the gates and beats a canned reply
    present: str | None
    rival: str | None  #: the present model, or the runner-up where there is none or it is the pick
    chance: float | None  #: that the pick is better than the rival
    gain: float | None  #: expected quality of the pick less that of the rival
    p_best: float
    expected_loss: float  #: of quality by choosing the pick, counting that it may be the best
    near: tuple[str, ...]  #: expected within LEAST_GAIN of the pick
    gaps: Mapping[str, float]  #: expected quality of the pick less that of each other model
    first_by_score: str  #: the best guess without the votes, among the models that may be picked
    chances: Mapping[str, float]  #: of being the best, by model
    remedy: Remedy | None = None  #: of an undecided one
    votes_wanted: int | None = None  #: answers that would probably decide, where votes are the remedy
    answers_left: int | None = None  #: the least number of further answers that decides; None where votes cannot
    preferences: Preferences
    below_canned: tuple[str, ...] = ()  #: models that do not beat a canned reply

    @property
    def loss_if_wrong(self) -> float:
        """By how much the best model is expected to be better than the pick, where the pick is not the best."""
        return self.expected_loss / (1 - self.p_best) if self.p_best < 1 else 0.0

    @property
    def agreement(self) -> Agreement:
        return self.preferences.agreement


def advise(
    pairwise: Pairwise,
    votes: Sequence[KeyedVote] = (),
    *,
    present: str | None = None,
    more: float = 1.0,
    bar: Bar | None = None,
) -> Advice | None:
    """The advice about the models of `pairwise`; None for fewer than two.

    `more` is how many times the conversations asked so far could be asked in all.
    """
    belief, keys = pairwise.belief, pairwise.taken.keys
    if belief is None or len(keys) < 2:
        return None
    preferred = preferences.of(belief, keys, votes)
    posterior = preferred.heard.posterior if votes else belief
    passes = np.array([key in pairwise.eligible for key in keys], dtype=bool)
    beats = _beats_canned(pairwise.taken, bar)
    place = keys.index(present) if present in keys else None
    decided = action.decide(posterior, passes & beats, place)
    left = _outlook(pairwise.taken, decided, more, preferred.agreement.correlation)
    decided = action.with_remedy(decided, posterior, left)
    among = posterior.best_of(passes & beats) if decided.recommended else posterior
    return Advice(
        action=decided.action,
        pick=keys[decided.pick],
        recommended=decided.recommended,
        present=present if place is not None else None,
        rival=None if decided.rival is None else keys[decided.rival],
        chance=decided.chance,
        gain=decided.gain,
        p_best=float(among.p_best[decided.pick]),
        expected_loss=float(among.loss[decided.pick]),
        near=tuple(keys[model] for model in among.near(decided.pick)),
        gaps={key: posterior.gap(decided.pick, place)[0] for place, key in enumerate(keys) if place != decided.pick},
        first_by_score=keys[belief.best_of(passes & beats).pick if decided.recommended else belief.pick],
        chances={key: float(among.p_best[model]) for model, key in enumerate(keys)},
        remedy=decided.remedy,
        votes_wanted=decided.votes,
        answers_left=preferred.answers_left([key for key, may in zip(keys, passes & beats, strict=True) if may]),
        preferences=preferred,
        below_canned=tuple(key for key, above in zip(keys, beats, strict=True) if not above),
    )


def _beats_canned(taken: Taken, bar: Bar | None) -> NDArray[np.bool_]:
    """Models that are better than a canned reply by LEAST_GAIN with the chance BEATS_CANNED, on what was measured.

    Another canned text than those that were measured may be a little better.
    """
    from scipy.special import ndtr

    lead, variance = np.zeros(len(taken.keys)), np.zeros(len(taken.keys))
    total = 0.0
    weights = taken.quality.weights if taken.quality is not None else {}
    for name, measure in (("instructions", taken.instructions), ("own_turns", taken.own_turns)):
        reached, weight = getattr(bar, name, None), weights.get(name, 0.0)
        if reached is None or measure is None or not weight:
            continue
        lead += weight * (np.where(measure.known, measure.value, reached) - reached)
        variance += weight**2 * np.diag(measure.covariance)
        total += weight
    if not total:
        return np.ones(len(taken.keys), dtype=bool)
    lead -= total * LEAST_GAIN
    return np.asarray(ndtr(lead / np.sqrt(np.maximum(variance, 1e-12))) >= action.BEATS_CANNED)


def _outlook(taken: Taken, decided: action.Decision, more: float, agreement: float) -> Outlook:
    if taken.quality is None or decided.rival is None:
        return Outlook(now=1.0, after_more_rounds=None, agreement=agreement)
    pair = (decided.pick, decided.rival)
    if taken.instructions is None:
        now = float(variance_of_difference(taken.quality.covariance)[pair])
        return Outlook(now=now, after_more_rounds=None, agreement=agreement)
    return action.outlook(taken.quality, (taken.instructions, taken.own_turns), pair, more, agreement)
