"""Which model to use, or that nobody can tell yet: pairs, tie groups and the sentences that say it.

Gates come first: a model that misses one can be neither winner nor leader. The rest are compared in pairs, on the
prompts that both attempted, by a t test over the means of clusters, adjusted after Holm for the number of pairs. A
winner is better than every other one; where there is none, the owner's votes may decide.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs import statistics
from jobs.pairs import LEVEL, MIN_CLUSTERS, Pair, beats, between, difference, find_pairs, in_words, rank
from jobs.quality import Scores
from jobs.statistics import Estimate

SURE = 0.01  #: adjusted p of a winner that is called sure

#: Votes of the owner that a decision needs, in all and against each of the models it puts behind.
MIN_VOTES = 10
MIN_VOTES_EACH = 5


class Votes(Protocol):
    """What the owner's votes say; see jobs.votes."""

    def count(self, keys: Collection[str]) -> int:
        """Votes between two of these models."""

    def difference(self, key: str, other: str) -> Estimate | None:
        """Strength of the first less that of the second; None where they were never compared."""


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
    votes: Votes | None = None,
) -> Finding:
    """Ranking, pairs, groups and verdict of models by their scores.

    `gated` names the models that miss a gate, and why; `left_out` those that later rounds no longer asked.
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
    groups = statistics.letters(eligible, [(pair.first, pair.second) for pair in pairs if pair.separated])
    case = Case(names=names, models=attempted, misses=misses, eligible=eligible, pairs=pairs, votes=votes)
    return Finding(ranking=tuple(ranking), pairs=pairs, groups=groups, verdict=case.decide(winner))


def _beats_all(key: str, family: Sequence[str], pairs: Sequence[Pair]) -> bool:
    others = [other for other in family if other != key]
    return bool(others) and all(beats(key, other, pairs) for other in others)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a verdict is made from."""

    names: Mapping[str, str]
    models: Mapping[str, Scores]  #: that gave replies
    misses: Mapping[str, Sequence[str]]
    eligible: Sequence[str]  #: pass the gates, best first
    pairs: Sequence[Pair]
    votes: Votes | None

    def decide(self, winner: str | None) -> dict[str, Any]:
        """{"winner", "tied", "why", "differences", "confidence"}."""
        nothing = self._no_comparison()
        if nothing:
            return _verdict(None, [], nothing)
        if not self.eligible:
            return _verdict(None, [], f"No model passes the gates: {self._gated()}. {self._missing()}".strip())
        leader = self.eligible[0]
        rows = self._differences(leader)
        if len(self.eligible) == 1 and not winner:
            return _verdict(None, [], self._alone(leader), rows)
        why = self._won(leader) if winner else self._undecided(leader)
        ending = " ".join(
            part for part in (self._apart(leader) if winner else "", self._left(), self._missing()) if part
        )
        tied = [] if winner else [leader, *(key for key in self.eligible[1:] if not beats(leader, key, self.pairs))]
        winner, tied, said = self._heard(winner, tied)
        text = " ".join(part for part in (why, said, ending) if part)
        return _verdict(winner, tied, text, rows, self._confidence(winner, bool(said)))

    def name(self, key: str) -> str:
        return self.names.get(key, key)

    def _pair(self, key: str, other: str) -> Pair | None:
        return between(key, other, self.pairs)

    def _gap(self, leader: str, key: str) -> Estimate | None:
        """Quality of the leader less that of another one."""
        return difference(self.models[leader], self.models[key])

    def _differences(self, leader: str) -> list[dict[str, Any]]:
        gaps = {key: self._gap(leader, key) for key in self.models if key != leader}
        return [
            {
                "model": leader,
                "against": key,
                "difference": gap.mean if gap else None,
                "ci": gap.interval if gap else None,
                "scenarios": gap.n if gap else 0,
                "p_holm": pair.p_holm if (pair := self._pair(leader, key)) else None,
            }
            for key, gap in gaps.items()
        ]

    def _no_comparison(self) -> str:
        if not self.models:
            return "No model gave replies, so there is nothing to compare."
        if len(self.models) == 1:
            only = self.name(next(iter(self.models)))
            return f"Only one model could be compared: {only}. A winner needs another one."
        if not any(any(values.values()) for values in self.models.values()):
            return "No model gave a reply that passed a check, so there is nothing to choose from."
        return ""

    # ------------------------------------------------------------------------------------------- sentences

    def _closest(self, leader: str, keys: Sequence[str]) -> str:
        def distance(key: str) -> float:
            gap = self._gap(leader, key)
            return gap.mean if gap else math.inf

        return min(keys, key=distance)

    def _said(self, leader: str, key: str) -> str:
        """In words: "+0.12 (95 % interval 0.03 to 0.21, 5 scenarios, 13 prompts, p = 0.012 after Holm), paired ..."."""
        gap, pair = self._gap(leader, key), self._pair(leader, key)
        if gap is None or pair is None:
            return "they have no prompt in common"
        if gap.low is None or gap.high is None:
            return f"{_number(gap.mean, '+')}, {self._clusters(leader, key, 1)} in common, so no interval"
        p = "" if pair.p_holm is None else f", {in_words(pair.p_holm)} after Holm"
        where = f"{self._clusters(leader, key, gap.n)}, {pair.prompts} prompts"
        ends = f"{_number(gap.low)} to {_number(gap.high)}"
        return f"{_number(gap.mean, '+')} (95 % interval {ends}, {where}{p}), paired on the same prompts"

    def _clusters(self, leader: str, key: str, n: int) -> str:
        clusters = {cluster for cluster, _ in self.models[leader]} & {cluster for cluster, _ in self.models[key]}
        chats = sum(cluster.startswith("chat:") for cluster in clusters)
        if not chats:
            return f"{n} scenario{'s' * (n != 1)}"
        if chats == len(clusters):
            return f"{n} conversation{'s' * (n != 1)}"
        return f"{n} scenarios and conversations"

    def _apart(self, leader: str) -> str:
        """A sentence where the scenarios alone do not say what they say together with the real turns.

        A real turn has no instruction to follow, so a model may lead by many fluent replies that nobody asked for.
        """
        others = [key for key in self.eligible if key != leader] or [key for key in self.models if key != leader]
        closest = self._closest(leader, others)
        alone = self._on_scenarios(leader, closest)
        if alone is None or alone.above_zero or not self._has_turns():
            return ""
        ends = (
            ""
            if alone.interval is None
            else f", 95 % interval {_number(alone.interval[0])} to {_number(alone.interval[1])}"
        )
        return (
            f"On the {alone.n} scenarios alone, where an instruction is to be followed, the two are not separated "
            f"({_number(alone.mean, '+')}{ends})."
        )

    def _on_scenarios(self, leader: str, key: str) -> Estimate | None:
        ours, theirs = (
            {prompt: value for prompt, value in self.models[one].items() if prompt[0].startswith("scenario:")}
            for one in (leader, key)
        )
        return difference(ours, theirs)

    def _has_turns(self) -> bool:
        return any(cluster.startswith("chat:") for values in self.models.values() for cluster, _ in values)

    def _flips(self, leader: str, key: str) -> str:
        """A clause where so few clusters bind what can be said."""
        pair = self._pair(leader, key)
        if pair is None or pair.sign_flip is None or pair.gap is None or pair.sign_flip.smallest < LEVEL:
            return ""
        if pair.gap.n < MIN_CLUSTERS:
            return f"; fewer than {MIN_CLUSTERS} scenarios are too few to name anybody"
        return f"; a sign-flip test cannot go below p = {pair.sign_flip.smallest:.4g} with {pair.gap.n} clusters"

    def _won(self, leader: str) -> str:
        others = [key for key in self.eligible if key != leader] or [key for key in self.models if key != leader]
        closest = self._closest(leader, others)
        among = f"each of the {len(others)} other models: against {self.name(closest)}, the closest,"
        whom = f"{self.name(closest)}:" if len(others) == 1 else among
        alone = " the only one that passes the gates, and" if len(self.eligible) == 1 else ""
        return (
            f"{self.name(leader)} is{alone} better than {whom} "
            f"{self._said(leader, closest)}{self._flips(leader, closest)}."
        )

    def _undecided(self, leader: str) -> str:
        tied = [key for key in self.eligible[1:] if not beats(leader, key, self.pairs)]
        closest = self._closest(leader, tied)
        rest = f" and {len(tied) - 1} more" if len(tied) > 1 else ""
        gaps = [self._gap(leader, key) for key in tied]
        same = all(gap is not None and gap.low == gap.high == 0 for gap in gaps)
        return (
            f"{self.name(leader)} is not better than {self.name(closest)}{rest} beyond chance: "
            f"{self._said(leader, closest)}{self._flips(leader, closest)}."
            + (" Their replies score the same on every prompt." if same else "")
        )

    def _alone(self, leader: str) -> str:
        return (
            f"Only {self.name(leader)} passes the gates, and it is not better than the others beyond chance; "
            f"left out: {self._gated()}. {self._missing()}"
        ).strip()

    def _gated(self) -> str:
        found = (f"{self.name(key)} ({', '.join(self.misses[key])})" for key in self.models if key in self.misses)
        return ", ".join(found)

    def _left(self) -> str:
        """A sentence about models that miss a gate."""
        return f"Not considered, because they miss a gate: {gated}." if (gated := self._gated()) else ""

    def _missing(self) -> str:
        """A sentence about prompts that not every model attempted."""
        everything = set().union(*(set(values) for values in self.models.values()))
        common = set.intersection(*(set(values) for values in self.models.values()))
        if len(common) == len(everything):
            return ""
        return (
            f"{len(everything) - len(common)} of {len(everything)} prompts were not attempted by every model; "
            "each pair is compared only on the prompts that both attempted."
        )

    # --------------------------------------------------------------------------------------- votes, confidence

    def _heard(self, winner: str | None, tied: list[str]) -> tuple[str | None, list[str], str]:
        """Winner, tied and a sentence after the owner's votes, which decide a tie and can veto a winner."""
        if winner:
            rivals = [key for key in self.eligible if key != winner and self._prefers(key, winner)]
            if not rivals:
                return winner, tied, ""
            said = f"But the owner's votes prefer {self.name(rivals[0])} ({self._log_odds(rivals[0], winner)})"
            return None, [winner, *rivals], f"{said}: numbers and ear disagree, so nobody is named."
        for key in tied:
            others = [other for other in tied if other != key]
            if others and all(self._prefers(key, other) for other in others):
                n = self.votes.count(tied) if self.votes else 0
                said = f"{n} votes of the owner decide between them, for {self.name(key)}"
                return key, [], f"{said} ({self._log_odds(key, self._closest(key, others))})."
        return winner, tied, ""

    def _prefers(self, key: str, other: str) -> bool:
        """Whether the owner's votes put `key` before `other` beyond chance."""
        if self.votes is None or self.votes.count(self.eligible) < MIN_VOTES:
            return False
        if self.votes.count([key, other]) < MIN_VOTES_EACH:
            return False
        gap = self.votes.difference(key, other)
        return gap is not None and gap.above_zero

    def _log_odds(self, key: str, other: str) -> str:
        gap = self.votes.difference(key, other) if self.votes else None
        if gap is None or gap.low is None or gap.high is None:
            return "no interval"
        return f"log odds {gap.mean:+.1f} against {self.name(other)}, 95 % interval {gap.low:.1f} to {gap.high:.1f}"

    def _confidence(self, winner: str | None, by_ear: bool) -> str:
        """high: adjusted p under 0.01 against each, sign-flip test and scenarios alone agree; low: no winner."""
        if winner is None:
            return "low"
        if self._apart(winner):
            return "moderate"
        rivals = [pair for pair in self.pairs if winner in (pair.first, pair.second)]
        sure = all(
            pair.p_holm is not None and pair.p_holm < SURE and pair.sign_flip is not None and pair.sign_flip.p < LEVEL
            for pair in rivals
        )
        return "high" if sure and not by_ear else "moderate"


def _number(value: float, sign: str = "-") -> str:
    """Two digits behind the point, or three where two would hide on which side of 0 it lies."""
    text = f"{value:{sign}.2f}"
    return f"{value:{sign}.3f}" if value and not float(text) else text


def _verdict(
    winner: str | None,
    tied: list[str],
    why: str,
    differences: list[dict[str, Any]] | None = None,
    confidence: str = "low",
) -> dict[str, Any]:
    return {
        "winner": winner,
        "tied": tied,
        "why": why,
        "differences": differences or [],
        "confidence": confidence,
    }
