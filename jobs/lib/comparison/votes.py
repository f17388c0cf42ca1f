"""The votes of a run: the owner's with the scores of both replies, and how far a judge's agree with them.

Only the owner's votes count (preferences.py). A judge's are counted and compared with the owner's, never mixed with
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.lib.comparison.load import ComparisonData, VoteRow
from jobs.lib.comparison.preferences import KeyedVote, Preferences, Rating
from jobs.lib.results.tables import OWNER

#: The share of the win that a choice gives to the model on the left; "both bad" prefers neither, as a tie does.
SHARES = {"left": 1.0, "right": 0.0, "tie": 0.5, "both bad": 0.5}

_MIRRORED = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Cohen's kappa of a judge with the owner, on the n pairs of replies that both compared."""

    judge: float | None
    n: int
    same: int = 0  #: of the n, those on which both chose the same


@dataclass(frozen=True, kw_only=True)
class VoteSummary:
    """The votes of a run."""

    n: int = 0
    by_owner: int = 0
    both_bad: int = 0  #: of the owner's
    invalid: int = 0
    ratings: Mapping[str, Rating]  #: by model, the most preferred first
    wins: Mapping[str, Mapping[str, float]]  #: model -> other -> wins, a tie as half a win for each
    agreement: Agreement | None = None  #: None where the owner and a judge compared no pair both


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


def summary(data: ComparisonData, preferences: Preferences | None) -> VoteSummary:
    """The votes of a run, counted; without `preferences`, where no two models were compared, nothing is rated."""
    owner, everyone = _shown(data, OWNER), _shown(data)
    return VoteSummary(
        n=len(everyone),
        by_owner=len(owner),
        both_bad=sum(vote.choice == "both bad" for vote in owner),
        invalid=sum(vote.choice == "invalid" for vote in everyone),
        ratings=preferences.ratings() if preferences else {},
        wins=preferences.wins() if preferences else {},
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
    same = sum(owner[pair] == judge[pair] for pair in both)
    kappa = _kappa([owner[pair] for pair in both], [judge[pair] for pair in both])
    return Agreement(judge=kappa, n=len(both), same=same)


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
