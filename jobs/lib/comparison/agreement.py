"""How far a judge agrees with the owner about the same replies, beyond what chance would give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jobs.lib.results.tables import OWNER, Vote

_MIRRORED = {"left": "right", "right": "left"}


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """(observed - expected agreement) / (1 - expected), of two raters' categories for the same things.

    J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960)
    37-46. 1 = always agree, 0 = as often as chance. None for no pairs, and where both raters used one and the same
    category throughout: nothing can be told from that.
    """
    n = len(pairs)
    if n == 0:
        return None
    one, other = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    agreed = sum(first == second for first, second in pairs) * n
    expected = sum(count * other[category] for category, count in one.items())  # both times n * n: whole numbers
    return None if expected == n * n else (agreed - expected) / (n * n - expected)


def of_run(run_id: str) -> tuple[float | None, int]:
    """Kappa of a run's judge with the owner, and the number of pairs of replies that both compared.

    "Both bad" counts as a tie. A judge's invalid answers are left out: they are no opinion.
    """
    votes = list(Vote.select().where(Vote.run == run_id).order_by(Vote.id))
    owner = _by_pair([vote for vote in votes if vote.by == OWNER])
    judge = _by_pair([vote for vote in votes if vote.by != OWNER])
    both = [(owner[pair], judge[pair]) for pair in sorted(owner.keys() & judge.keys())]
    return cohen_kappa(both), len(both)


def _by_pair(votes: Sequence[Vote]) -> dict[tuple[int, int], str]:
    """(smaller id, larger id) of the replies -> left (the smaller id won) | right | tie. The last vote counts."""
    found = {}
    for vote in votes:
        if vote.choice == "invalid":
            continue
        choice = "tie" if vote.choice == "both bad" else str(vote.choice)
        if vote.left_id < vote.right_id:
            found[vote.left_id, vote.right_id] = choice
        else:
            found[vote.right_id, vote.left_id] = _MIRRORED.get(choice, choice)
    return found
