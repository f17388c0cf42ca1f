"""Which model to use, or that nobody can tell yet: pairs, tie groups and what follows from them.

Gates come first: a model that misses one can be neither winner nor leader. The rest are compared in pairs, on the
prompts that both attempted, by a t test over the means of clusters, adjusted after Holm for the number of pairs. A
winner is better than every other one; where there is none, the owner's votes may decide. Where a rival is better than
the winner on the scenarios alone, or by the owner's votes, that is a conflict and nobody is named.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.lib import stats
from jobs.lib.comparison.explanation import Explanation
from jobs.lib.comparison.pairwise import LEVEL, Pair, beats, between, find_pairs, in_words, rank
from jobs.lib.comparison.replies import Scores
from jobs.lib.stats import Estimate

SURE = 0.01  #: adjusted p of a winner that is called sure


class Votes(Protocol):
    """What the owner's votes say; see jobs.lib.comparison.votes."""

    def count(self, keys: Collection[str]) -> int:
        """Votes between two of these models."""

    def difference(self, key: str, other: str) -> Estimate | None:
        """Strength of the first less that of the second; None where they were never compared."""

    def decided(self, key: str, other: str) -> tuple[int, int]:
        """Votes between the two for the first, and for the second; without ties."""

    def p(self, key: str, other: str) -> float:
        """Two-sided p that chance divides these votes so."""

    def prefers(self, key: str, other: str) -> bool:
        """Whether they put the first before the second beyond chance."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the numbers of a run say."""

    ranking: tuple[str, ...]  #: best first; models that miss a gate last
    pairs: tuple[Pair, ...]  #: the better one of the ranking first
    groups: Mapping[str, str]
    verdict: dict[str, Any]

    def between(self, key: str, other: str) -> Pair | None:
        return between(key, other, self.pairs)


def find(
    models: Mapping[str, Scores],
    names: Mapping[str, str],
    *,
    gated: Mapping[str, Sequence[str]] | None = None,
    left_out: Collection[str] = (),
    remarks: Mapping[str, str] | None = None,
    votes: Votes | None = None,
) -> Finding:
    """Ranking, pairs, groups and verdict of models by their scores.

    `gated` names the models that miss a gate, and why; `left_out` those that later rounds no longer asked; `remarks`
    says of a model that was not asked to the end what became of it: "did not finish: its job failed in round 2".
    """
    misses = {key: reasons for key, reasons in (gated or {}).items() if reasons}
    attempted = {key: values for key, values in models.items() if values}
    ranking = rank(attempted, {key: 2 if key in misses else int(key in left_out) for key in attempted})
    eligible = [key for key in ranking if key not in misses]
    family = eligible if len(eligible) > 1 else ranking
    pairs = find_pairs(attempted, family)
    winner = next((key for key in eligible if _beats_all(key, family, pairs)), None)
    if winner:
        eligible = [winner, *(key for key in eligible if key != winner)]
        ranking = [*eligible, *(key for key in ranking if key not in eligible)]
    groups = stats.compact_letter_display(eligible, [(pair.first, pair.second) for pair in pairs if pair.separated])
    reasons = Explanation(
        names=names, models=attempted, misses=misses, eligible=eligible, pairs=pairs, remarks=remarks or {}
    )
    verdict = Decision(reasons=reasons, eligible=eligible, pairs=pairs, votes=votes).decide(winner)
    return Finding(ranking=tuple(ranking), pairs=pairs, groups=groups, verdict=verdict)


def _beats_all(key: str, family: Sequence[str], pairs: Sequence[Pair]) -> bool:
    others = [other for other in family if other != key]
    return bool(others) and all(beats(key, other, pairs) for other in others)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Who is named, and who is not because of what."""

    winner: str | None = None
    tied: Sequence[str] = ()
    #: {"with": "votes" or "scenarios", "model": whom all prompts put first, "rivals": whom these put before it}
    conflict: Mapping[str, Any] | None = None
    said: str = ""  #: what the votes say, as a sentence


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a verdict is made from."""

    reasons: Explanation
    eligible: Sequence[str]  #: pass the gates, best first
    pairs: Sequence[Pair]
    votes: Votes | None

    def decide(self, winner: str | None) -> dict[str, Any]:
        """{"winner", "tied", "conflict", "why", "differences", "confidence"}."""
        say = self.reasons
        nothing = say.no_comparison()
        if nothing:
            return _verdict(Decided(), nothing)
        if not self.eligible:
            return _verdict(Decided(), f"No model passes the gates: {say.gated()}. {say.missing()}".strip())
        leader = self.eligible[0]
        rows = say.differences(leader)
        if len(self.eligible) == 1 and not winner:
            return _verdict(Decided(), say.alone(leader), rows)
        found = self._heard(self._by_numbers(leader) if winner else self._tied(leader))
        named = [found.winner] if found.winner else found.tied
        parts = [
            say.won(leader) if winner else say.undecided(leader),
            found.said,
            say.apart(leader) if winner else "",
            say.remarked(named, tied=not found.winner and not found.conflict),
            say.left(),
            say.missing(),
        ]
        return _verdict(found, " ".join(part for part in parts if part), rows, self._confidence(found))

    def _tied(self, leader: str) -> Decided:
        return Decided(tied=[leader, *(key for key in self.eligible[1:] if not beats(leader, key, self.pairs))])

    def _by_numbers(self, leader: str) -> Decided:
        """The leader as winner, unless a rival is better than it on the scenarios alone."""
        gaps = self.reasons.on_scenarios(leader)
        better = sorted((key for key, gap in gaps.items() if gap.below_zero), key=lambda key: gaps[key].mean)
        if not better:
            return Decided(winner=leader)
        rivals = [key for key in better if key in self.eligible]
        return Decided(tied=[leader, *rivals], conflict=_conflict("scenarios", leader, rivals)) if rivals else Decided()

    # --------------------------------------------------------------------------------------- votes, confidence

    def _heard(self, found: Decided) -> Decided:
        """The same after the owner's votes, which decide a tie and can veto a winner."""
        votes = self.votes
        if votes is None:
            return found
        if found.winner:
            return self._vetoed(found, found.winner, votes)
        for key in found.tied:
            others = [other for other in found.tied if other != key]
            if others and all(votes.prefers(key, other) for other in others):
                said = f"{votes.count(found.tied)} votes of the owner decide between them, for {self.reasons.name(key)}"
                closest = max(others, key=lambda other: votes.p(key, other))
                return Decided(winner=key, said=f"{said} ({self._counted(votes, key, closest)}).")
        return found

    def _vetoed(self, found: Decided, winner: str, votes: Votes) -> Decided:
        rivals = [key for key in self.eligible if key != winner and votes.prefers(key, winner)]
        if not rivals:
            return found
        rivals.sort(key=lambda key: votes.p(key, winner))
        said = f"But the owner's votes prefer {self.reasons.name(rivals[0])}"
        return Decided(
            tied=[winner, *rivals],
            conflict=_conflict("votes", winner, rivals),
            said=f"{said} ({self._counted(votes, rivals[0], winner)}): numbers and ear disagree.",
        )

    def _counted(self, votes: Votes, key: str, other: str) -> str:
        """ "11 of 12 decided votes against B, p = 0.006"."""
        won, lost = votes.decided(key, other)
        return (
            f"{won} of {won + lost} decided votes against {self.reasons.name(other)}, {in_words(votes.p(key, other))}"
        )

    def _confidence(self, found: Decided) -> str:
        """high: adjusted p under 0.01 against each, sign-flip test and scenarios alone agree; low: no winner."""
        winner = found.winner
        if winner is None:
            return "low"
        if found.said or winner in self.reasons.remarks or self.reasons.apart(winner):
            return "moderate"
        rivals = [pair for pair in self.pairs if winner in (pair.first, pair.second)]
        sure = all(
            pair.p_holm is not None and pair.p_holm < SURE and pair.sign_flip is not None and pair.sign_flip.p < LEVEL
            for pair in rivals
        )
        return "high" if sure else "moderate"


def _conflict(with_: str, model: str, rivals: Sequence[str]) -> dict[str, Any]:
    return {"with": with_, "model": model, "rivals": list(rivals)}


def _verdict(
    found: Decided, why: str, differences: list[dict[str, Any]] | None = None, confidence: str = "low"
) -> dict[str, Any]:
    return {
        "winner": found.winner,
        "tied": list(found.tied),
        "conflict": found.conflict,
        "why": why,
        "differences": differences or [],
        "confidence": confidence,
    }
