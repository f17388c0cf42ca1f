"""Which model's replies the owner prefers: the owner's votes and the scores in one posterior, by the models' keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.lib.comparison import preference
from jobs.lib.comparison.measures import Floats
from jobs.lib.comparison.posterior import Posterior, normal_draws
from jobs.lib.comparison.preference import LEAST_VOTES, NAMED_OF_TWO, Agreement, Heard, ScorePrior, VoteLog


@dataclass(frozen=True, kw_only=True)
class KeyedVote:
    """An answer of the owner's: the models, the share of the win of the first, and the quality of both replies."""

    first: str
    second: str
    share: float
    scores: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A model among those that were voted on, by votes and scores together; `n` votes were about it."""

    strength: float  #: log odds against their mean, with its 95 % interval
    low: float
    high: float
    preferred: float  #: chance that its reply is preferred to that of another of these models
    preferred_ci: list[float]
    n: int


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """What scores and votes together say of the models `keys`."""

    keys: Sequence[str]
    prior: ScorePrior
    votes: Sequence[KeyedVote]  #: between two of the models
    heard: Heard

    @property
    def agreement(self) -> Agreement:
        return self.heard.agreement

    def chance(self, key: str, other: str) -> float:
        """Chance that the owner prefers `key` to `other`."""
        return self.heard.chance_above(self.keys.index(key), self.keys.index(other))

    def is_preferred(self, key: str, other: str) -> bool:
        """Whether that is nearly certain, from LEAST_VOTES votes on."""
        return len(self.votes) >= LEAST_VOTES and self.chance(key, other) >= NAMED_OF_TWO

    def named(self, among: Collection[str]) -> str | None:
        """The model that the owner's votes name among these: the best with the chance `preference.named_from`."""
        places = [place for place, key in enumerate(self.keys) if key in among]
        if len(places) < 2 or self.count(among) < LEAST_VOTES:
            return None
        leader = max(places, key=lambda place: float(self.heard.utility[place]))
        doubt = sum(self.heard.chance_above(place, leader) for place in places if place != leader)
        return self.keys[leader] if 1 - doubt >= preference.named_from(len(places)) else None

    def answers_left(self, among: Collection[str]) -> int | None:
        """The least number of further answers that decides among these models; None for fewer than two."""
        keys = [key for key in self.keys if key in among]
        if len(keys) < 2:
            return None
        prior = self.prior.only([self.keys.index(key) for key in keys])
        return preference.answers_left(prior, VoteLog(tuple(places(keys, self.votes))))

    def count(self, keys: Collection[str]) -> int:
        """Votes between two of these models."""
        return sum(vote.first in keys and vote.second in keys for vote in self.votes)

    def decided(self, key: str, other: str) -> tuple[int, int]:
        """Votes between the two for the first, and for the second; one that prefers neither is not among them."""
        both = [vote for vote in self.votes if {vote.first, vote.second} == {key, other}]
        shares = [vote.share if vote.first == key else 1 - vote.share for vote in both]
        return shares.count(1.0), shares.count(0.0)

    def won(self, key: str) -> tuple[int, int]:
        """Votes that preferred the model, of those about it that preferred one of the two."""
        rows = [self.decided(key, other) for other in self.keys if other != key]
        won = sum(row[0] for row in rows)
        return won, won + sum(row[1] for row in rows)

    def wins(self) -> dict[str, dict[str, float]]:
        """Model -> other model -> wins; a tie is half a win for each."""
        table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for vote in sorted(self.votes, key=lambda vote: (vote.first, vote.second, vote.share)):
            table[vote.first][vote.second] += vote.share
            table[vote.second][vote.first] += 1 - vote.share
        return {key: dict(row) for key, row in sorted(table.items())}

    def ratings(self) -> dict[str, Rating]:
        """Every model that was voted on, the most preferred first."""
        played = Counter(key for vote in self.votes for key in (vote.first, vote.second))
        rated = [place for place, key in enumerate(self.keys) if played[key]]
        if len(rated) < 2:
            return {}
        mean, covariance = self.heard.utility[rated], self.heard.covariance[np.ix_(rated, rated)]
        draws = normal_draws(mean, covariance)
        ratings = [_rating(draws, number, played[self.keys[place]]) for number, place in enumerate(rated)]
        order = sorted(range(len(rated)), key=lambda number: -round(float(mean[number]), 9))
        return {self.keys[rated[number]]: ratings[number] for number in order}


def of(belief: Posterior, keys: Sequence[str], votes: Sequence[KeyedVote]) -> Preferences:
    """Scores and votes together."""
    known = [vote for vote in votes if vote.first in keys and vote.second in keys and vote.first != vote.second]
    prior = ScorePrior.of(belief)
    return Preferences(keys=keys, prior=prior, votes=known, heard=preference.hear(prior, places(keys, known)))


def places(keys: Sequence[str], votes: Sequence[KeyedVote]) -> list[preference.Vote]:
    """The votes between two of the models, as places in `keys`."""
    known = [vote for vote in votes if vote.first in keys and vote.second in keys]
    return [preference.Vote(keys.index(vote.first), keys.index(vote.second), vote.share, vote.scores) for vote in known]


def _rating(draws: Floats, place: int, votes: int) -> Rating:
    """The rating of the model at `place` of the draws of utilities, draws x models."""
    lead = draws[:, place] - draws.mean(axis=1)
    gaps = draws[:, [place]] - np.delete(draws, place, axis=1)
    preferred = (1 / (1 + np.exp(-gaps))).mean(axis=1)
    low, high = (float(end) for end in np.percentile(lead, (2.5, 97.5)))
    ends = [float(end) for end in np.percentile(preferred, (2.5, 97.5))]
    return Rating(
        strength=float(lead.mean()), low=low, high=high, preferred=float(preferred.mean()), preferred_ci=ends, n=votes
    )
