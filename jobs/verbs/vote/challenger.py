"""Which two models to ask about next: the leader and its challenger, by scores and votes together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobs.lib.comparison import preference, preferences
from jobs.lib.comparison.preference import Agreement, Heard, ScorePrior, VoteLog
from jobs.lib.comparison.preferences import KeyedVote

if TYPE_CHECKING:
    from jobs.lib.comparison.pipeline import Comparison


@dataclass(frozen=True)
class Challenger:
    """The models that may be asked about, with what their scores say."""

    keys: Sequence[str]
    prior: ScorePrior
    quality: Mapping[int, float | None]  #: of a reply, by its id

    @classmethod
    def of(cls, compared: Comparison, models: Collection[str]) -> Challenger | None:
        """None where fewer than two of `models` were compared."""
        pairwise = compared.decision.pairwise
        places = [place for place, key in enumerate(pairwise.taken.keys) if key in models]
        if pairwise.belief is None or len(places) < 2:
            return None
        replies = (reply for model in compared.scores.values() for reply in model.replies)
        quality = {reply.row.id: reply.quality for reply in replies}
        keys = [pairwise.taken.keys[place] for place in places]
        return cls(keys, ScorePrior.of(pairwise.belief).only(places), quality)

    def scores(self, first: int, second: int) -> tuple[float, float] | None:
        """The quality of two replies, by their ids; None where one was not scored."""
        one, other = self.quality.get(first), self.quality.get(second)
        return None if one is None or other is None else (one, other)

    def pair(self, votes: Sequence[KeyedVote], pairs: Collection[tuple[str, str]]) -> tuple[str, str] | None:
        """The one of `pairs` to ask about next, in the order of its keys; None where none of its models is known."""
        askable = np.zeros((len(self.keys), len(self.keys)), dtype=bool)
        for first, second in pairs:
            if first in self.keys and second in self.keys:
                one, other = self.keys.index(first), self.keys.index(second)
                askable[one, other] = askable[other, one] = True
        chosen = preference.next_pair(self._heard(votes), askable)
        if chosen is None:
            return None
        first, second = sorted(self.keys[place] for place in chosen)
        return first, second

    def answers_left(self, votes: Sequence[KeyedVote], most: int) -> int:
        """How many further answers decide at best, never more than up to `most` in all; 0 where it is decided."""
        return preference.answers_left(self.prior, VoteLog(self._places(votes)), most=most)

    def agreement(self, votes: Sequence[KeyedVote]) -> Agreement:
        """How often the owner preferred the reply with the better score."""
        return preference.agreement(self._places(votes))

    def _heard(self, votes: Sequence[KeyedVote]) -> Heard:
        return preference.hear(self.prior, self._places(votes))

    def _places(self, votes: Sequence[KeyedVote]) -> tuple[preference.Vote, ...]:
        return tuple(preferences.places(self.keys, votes))
