"""Which two models to ask about next: the leader and its challenger, by scores and votes together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobs.lib.comparison import preference
from jobs.lib.comparison.preference import ScorePrior, VoteLog

if TYPE_CHECKING:
    from jobs.lib.comparison.pairwise import Pairwise

#: Model, model, and the share of the win of the first.
GivenVote = tuple[str, str, float]


@dataclass(frozen=True)
class Challenger:
    """The models of a run with what their scores say."""

    keys: Sequence[str]
    prior: ScorePrior

    @classmethod
    def of(cls, pairwise: Pairwise) -> Challenger | None:
        """None where fewer than two models were compared."""
        belief, keys = pairwise.belief, pairwise.taken.keys
        return None if belief is None or len(keys) < 2 else cls(keys, ScorePrior.of(belief))

    def pair(self, votes: Sequence[GivenVote], pairs: Collection[tuple[str, str]]) -> tuple[str, str] | None:
        """The one of `pairs` to ask about next, in the order of its keys; None where none of its models is known."""
        askable = np.zeros((len(self.keys), len(self.keys)), dtype=bool)
        for first, second in pairs:
            if first in self.keys and second in self.keys:
                one, other = self.keys.index(first), self.keys.index(second)
                askable[one, other] = askable[other, one] = True
        chosen = preference.next_pair(preference.hear(self.prior, self._log(votes).votes), askable)
        if chosen is None:
            return None
        first, second = sorted(self.keys[place] for place in chosen)
        return first, second

    def answers_left(self, votes: Sequence[GivenVote]) -> int:
        """How many further answers decide at best; 0 where it is decided."""
        return preference.answers_left(self.prior, self._log(votes))

    def _log(self, votes: Sequence[GivenVote]) -> VoteLog:
        known = [vote for vote in votes if vote[0] in self.keys and vote[1] in self.keys]
        return VoteLog(
            tuple(preference.Vote(self.keys.index(one), self.keys.index(two), share) for one, two, share in known)
        )
