"""What blind votes say: a ranking of the models by the owner's votes, beside the one by numbers.

A preference is beyond chance from MIN_VOTES votes between the two models on, where an exact binomial test of the
decided ones gives p under LEVEL (10 of 10, 11 of 12, 13 of 15) and the interval of their strengths agrees. The level
is strict because the owner looks after every vote and stops at will: of two equal models one is called better
by the 20th vote in 1.4 % of the cases, by the 40th in 3 %.

Only the owner's votes make the ranking. A judge's are counted and compared with the owner's, never mixed with them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.lib import stats
from jobs.lib.comparison.advice import KeyedVote
from jobs.lib.comparison.load import ComparisonData, VoteRow
from jobs.lib.results.tables import OWNER
from jobs.lib.stats import Estimate, Strengths

#: The share of the win that a choice gives to the model on the left; "both bad" prefers neither, as a tie does.
SHARES = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}

MIN_VOTES = 10  #: between two models, before any of them may be preferred
LEVEL = 0.01

_MIRRORED = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True)
class Rating:
    """Bradley-Terry strength of a model in log odds, with its 95 % interval; `n` votes were about it."""

    strength: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cohen's kappa of a judge with the owner, on the n pairs of replies that both compared."""

    judge: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class VoteSummary:
    """The votes of a run."""

    n: int = 0
    by_owner: int = 0
    both_bad: int = 0  #: of the owner's
    invalid: int = 0
    ratings: Mapping[str, Rating]  #: by model, the strongest first
    wins: Mapping[str, Mapping[str, float]]  #: model -> other -> wins, a tie as half a win for each
    agreement: Agreement | None = None  #: None where the owner and a judge compared no pair both


@dataclass(frozen=True)
class Ranking:
    """Votes as (model, model, share of the win of the first), and the strengths they give."""

    votes: Sequence[tuple[str, str, float]]
    strengths: Strengths | None

    def count(self, keys: Collection[str]) -> int:
        """Votes between two of these models."""
        return sum(one in keys and other in keys for one, other, _ in self.votes)

    def difference(self, key: str, other: str) -> Estimate | None:
        """Log odds that the first is preferred; None where one of them was never shown."""
        if self.strengths is None or not {key, other} <= set(self.strengths.players):
            return None
        return self.strengths.difference(key, other)

    def decided(self, key: str, other: str) -> tuple[int, int]:
        """Votes between the two for the first, and for the second; one that prefers neither is not among them."""
        shares = [share if one == key else 1 - share for one, two, share in self.votes if {one, two} == {key, other}]
        return shares.count(1.0), shares.count(0.0)

    def p(self, key: str, other: str) -> float:
        """Two-sided p that chance divides the decided votes so."""
        return stats.binomial_p(*self.decided(key, other))

    def prefers(self, key: str, other: str) -> bool:
        """Whether `key` is preferred to `other` beyond chance, see the module."""
        if self.count([key, other]) < MIN_VOTES or self.p(key, other) >= LEVEL:
            return False
        gap = self.difference(key, other)
        return gap is not None and gap.above_zero

    def ratings(self) -> dict[str, Rating]:
        if self.strengths is None:
            return {}
        played = Counter(key for one, other, _ in self.votes for key in (one, other))
        strengths = {key: self.strengths.of(key) for key in self.strengths.players}
        return {
            key: Rating(strength=strengths[key].mean, low=strengths[key].low, high=strengths[key].high, n=played[key])
            for key in sorted(strengths, key=lambda key: -strengths[key].mean)
        }

    def wins(self) -> dict[str, dict[str, float]]:
        table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for one, other, share in sorted(self.votes):
            table[one][other] += share
            table[other][one] += 1 - share
        return {key: dict(row) for key, row in sorted(table.items())}


def of_owner(data: ComparisonData) -> Ranking:
    """The ranking by the owner's votes."""
    models = {row.id: row.model for row in data.replies}
    return rank(
        [
            (models[vote.left], models[vote.right], SHARES[vote.choice])
            for vote in _shown(data, OWNER)
            if vote.choice in SHARES
        ]
    )


def keyed(data: ComparisonData, quality: Mapping[int, float | None]) -> list[KeyedVote]:
    """The owner's votes with the quality of both replies, which `quality` has by the reply's id; in their order."""
    models = {row.id: row.model for row in data.replies}
    return [
        KeyedVote(
            first=models[vote.left],
            second=models[vote.right],
            share=SHARES[vote.choice],
            scores=_both(quality.get(vote.left), quality.get(vote.right)),
        )
        for vote in _shown(data, OWNER)
        if vote.choice in SHARES and models[vote.left] != models[vote.right]
    ]


def _both(left: float | None, right: float | None) -> tuple[float, float] | None:
    return None if left is None or right is None else (left, right)


def rank(votes: Sequence[tuple[str, str, float]]) -> Ranking:
    """The ranking by votes; those of a model with itself say nothing."""
    between = [vote for vote in votes if vote[0] != vote[1]]
    return Ranking(between, stats.bradley_terry(between))


def summary(data: ComparisonData, ranking: Ranking) -> VoteSummary:
    """The votes of a run, counted."""
    owner, everyone = _shown(data, OWNER), _shown(data)
    return VoteSummary(
        n=len(everyone),
        by_owner=len(owner),
        both_bad=sum(vote.choice == "both bad" for vote in owner),
        invalid=sum(vote.choice == "invalid" for vote in everyone),
        ratings=ranking.ratings(),
        wins=ranking.wins(),
        agreement=agreement(data.votes),
    )


def _shown(data: ComparisonData, by: str | None = None) -> list[VoteRow]:
    """Votes on replies of this run."""
    known = {row.id for row in data.replies}
    return [vote for vote in data.votes if vote.left in known and by in (None, vote.by)]


def agreement(votes: Iterable[VoteRow]) -> Agreement | None:
    """How far a judge agrees with the owner beyond chance; None where no pair was compared by both.

    "Both bad" counts as a tie. A judge's invalid answers are left out: they are no opinion.
    """
    rows = list(votes)
    owner = _by_pair([vote for vote in rows if vote.by == OWNER])
    judge = _by_pair([vote for vote in rows if vote.by != OWNER])
    both = sorted(owner.keys() & judge.keys())
    if not both:
        return None
    return Agreement(judge=_kappa([owner[pair] for pair in both], [judge[pair] for pair in both]), n=len(both))


def _kappa(owner: Sequence[str], judge: Sequence[str]) -> float | None:
    """Cohen's kappa (1960): 1 = always agree, 0 = as often as chance. None where one category was used throughout."""
    if len({*owner, *judge}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score  # 1 s to import, so only where a judge has voted

    return float(cohen_kappa_score(owner, judge))


def _by_pair(votes: Sequence[VoteRow]) -> dict[tuple[int, int], str]:
    """(smaller id, larger id) of the replies -> left (the smaller id won) | right | tie. The last vote counts."""
    choices = {}
    for vote in votes:
        if vote.choice == "invalid":
            continue
        choice = "tie" if vote.choice == "both bad" else vote.choice
        if vote.left < vote.right:
            choices[vote.left, vote.right] = choice
        else:
            choices[vote.right, vote.left] = _MIRRORED.get(choice, choice)
    return choices
