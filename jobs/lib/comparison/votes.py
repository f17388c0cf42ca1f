"""What blind votes say: a ranking of the models by the owner's ear, beside the one by numbers.

A preference is beyond chance from MIN_VOTES votes between the two models on, where an exact binomial test of the
decided ones gives p under LEVEL (10 of 10, 11 of 12, 13 of 15) and the interval of their strengths agrees. The level
is strict because the owner looks after every vote and stops where it pleases: of two equal models one is called better
by the 20th vote in 1.4 % of the cases, by the 40th in 3 %.

Only the owner's votes make the ranking. A judge's are counted and compared with the owner's, never mixed with them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib import stats
from jobs.lib.results.tables import OWNER, Reply, Vote
from jobs.lib.stats import Estimate, Strengths

#: What a choice gives to the model on the left; "both bad" prefers neither, as a tie does.
SHARES = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}

MIN_VOTES = 10  #: between two models, before any of them may be preferred
LEVEL = 0.01


@dataclass(frozen=True)
class Ranking:
    """The owner's votes: (model, model, share of the win of the first), and the strengths they give."""

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

    def ratings(self) -> dict[str, dict[str, Any]]:
        """{model: {"strength", "low", "high", "n"}}, the strongest first; n = votes on the model."""
        if self.strengths is None:
            return {}
        played = Counter(key for one, other, _ in self.votes for key in (one, other))
        found = {key: self.strengths.of(key) for key in self.strengths.players}
        order = sorted(found, key=lambda key: -found[key].mean)
        return {
            key: {"strength": found[key].mean, "low": found[key].low, "high": found[key].high, "n": played[key]}
            for key in order
        }

    def wins(self) -> dict[str, dict[str, float]]:
        """{model: {other: wins}}, a tie as half a win for each."""
        table: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for one, other, share in sorted(self.votes):
            table[one][other] += share
            table[other][one] += 1 - share
        return {key: dict(row) for key, row in sorted(table.items())}


def of_run(run_id: str, by: str = OWNER) -> Ranking:
    """The ranking by the votes of `by` in a run."""
    return rank([(one, other, SHARES[choice]) for one, other, choice in _rows(run_id, by) if choice in SHARES])


def rank(votes: Sequence[tuple[str, str, float]]) -> Ranking:
    """The ranking by votes; those of a model with itself say nothing."""
    between = [vote for vote in votes if vote[0] != vote[1]]
    return Ranking(between, stats.bradley_terry(between))


def _rows(run_id: str, by: str | None = None) -> list[tuple[str, str, str]]:
    """(model on the left, model on the right, choice)."""
    query = Vote.select().where(Vote.run == run_id).order_by(Vote.id)
    votes = list(query if by is None else query.where(Vote.by == by))
    shown = {end for vote in votes for end in (vote.left_id, vote.right_id)}
    rows = Reply.select(Reply.id, Reply.model).where(Reply.run == run_id) if shown else []
    models = {row.id: row.model for row in rows}
    return [(models[vote.left_id], models[vote.right_id], vote.choice) for vote in votes if vote.left_id in models]


def summary(run_id: str, ranking: Ranking) -> dict[str, Any]:
    """The votes of a run as the document has them."""
    owner = [choice for _, _, choice in _rows(run_id, OWNER)]
    everything = [choice for _, _, choice in _rows(run_id)]
    return {
        "n": len(everything),
        "by_owner": len(owner),
        "both_bad": owner.count("both bad"),
        "invalid": everything.count("invalid"),
        "ratings": ranking.ratings(),
        "wins": ranking.wins(),
        "agreement": _agreement(run_id),
    }


def _agreement(run_id: str) -> dict[str, Any] | None:
    """How far a judge agrees with the owner; None where no pair was judged by both."""
    if not Vote.select().where(Vote.run == run_id, Vote.by != OWNER).exists():
        return None
    from jobs.lib.comparison import agreement

    kappa, n = agreement.of_run(run_id)
    return {"judge": kappa, "n": n} if n else None
