"""The sentences of a verdict: who is better than whom, by how much, on what, and what speaks against saying so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib.comparison.pairwise import LEVEL, MIN_CLUSTERS, Pair, beats, between, difference, in_words
from jobs.lib.comparison.replies import Scores
from jobs.lib.stats import Estimate


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a verdict is made from, in words."""

    names: Mapping[str, str]
    models: Mapping[str, Scores]  #: that gave replies
    misses: Mapping[str, Sequence[str]]
    eligible: Sequence[str]  #: pass the gates, best first
    pairs: Sequence[Pair]
    remarks: Mapping[str, str]  #: what has to be said of a model where it is named

    def name(self, key: str) -> str:
        return self.names.get(key, key)

    def no_comparison(self) -> str:
        """Why there is nothing to compare, or ""."""
        if not self.models:
            return "No model gave replies, so there is nothing to compare."
        if len(self.models) == 1:
            only = self.name(next(iter(self.models)))
            return f"Only one model could be compared: {only}. A winner needs another one."
        if not any(any(values.values()) for values in self.models.values()):
            return "No model gave a reply that passed a check, so there is nothing to choose from."
        return ""

    def differences(self, leader: str) -> list[dict[str, Any]]:
        """Quality of the leader less that of each other model, as the document has it."""
        gaps = {key: self._gap(leader, key) for key in self.models if key != leader}
        return [
            {
                "model": leader,
                "against": key,
                "difference": gap.mean if gap else None,
                "ci": gap.interval if gap else None,
                "clusters": gap.n if gap else 0,
                "p_holm": pair.p_holm if (pair := between(leader, key, self.pairs)) else None,
            }
            for key, gap in gaps.items()
        ]

    def rivals(self, leader: str) -> list[str]:
        """Whom the leader has to beat: the others that pass the gates, else all the others."""
        return [key for key in self.eligible if key != leader] or [key for key in self.models if key != leader]

    # ------------------------------------------------------------------------------------- on all prompts

    def won(self, leader: str) -> str:
        others = self.rivals(leader)
        closest = self.closest(leader, others)
        among = f"each of the {len(others)} other models: against {self.name(closest)}, the closest,"
        whom = f"{self.name(closest)}:" if len(others) == 1 else among
        alone = " the only one that passes the gates, and" if len(self.eligible) == 1 else ""
        return (
            f"{self.name(leader)} is{alone} better than {whom} "
            f"{self._said(leader, closest)}{self._flips(leader, closest)}."
        )

    def undecided(self, leader: str) -> str:
        tied = [key for key in self.eligible[1:] if not beats(leader, key, self.pairs)]
        closest = self.closest(leader, tied)
        rest = f" and {len(tied) - 1} more" if len(tied) > 1 else ""
        gaps = [self._gap(leader, key) for key in tied]
        same = all(gap is not None and gap.low == gap.high == 0 for gap in gaps)
        return (
            f"{self.name(leader)} is not better than {self.name(closest)}{rest} beyond chance: "
            f"{self._said(leader, closest)}{self._flips(leader, closest)}."
            + (" Their replies score the same on every prompt." if same else "")
        )

    def alone(self, leader: str) -> str:
        return (
            f"Only {self.name(leader)} passes the gates, and it is not better than the others beyond chance; "
            f"left out: {self.gated()}. {self.missing()}"
        ).strip()

    def closest(self, leader: str, keys: Sequence[str]) -> str:
        def distance(key: str) -> float:
            gap = self._gap(leader, key)
            return gap.mean if gap else math.inf

        return min(keys, key=distance)

    def _gap(self, leader: str, key: str) -> Estimate | None:
        """Quality of the leader less that of another one."""
        return difference(self.models[leader], self.models[key])

    def _said(self, leader: str, key: str) -> str:
        """In words: "+0.12 (95 % interval 0.03 to 0.21, 5 scenarios, 13 prompts, p = 0.012 after Holm), paired ..."."""
        gap, pair = self._gap(leader, key), between(leader, key, self.pairs)
        if gap is None or pair is None:
            return "they have no prompt in common"
        if gap.interval is None:
            return f"{_number(gap.mean, '+')}, {self._clusters(leader, key, 1)} in common, so no interval"
        p = "" if pair.p_holm is None else f", {in_words(pair.p_holm)} after Holm"
        where = f"{self._clusters(leader, key, gap.n)}, {pair.prompts} prompts"
        return f"{_number(gap.mean, '+')} ({_ends(gap.interval)}, {where}{p}), paired on the same prompts"

    def _clusters(self, leader: str, key: str, n: int) -> str:
        clusters = {cluster for cluster, _ in self.models[leader]} & {cluster for cluster, _ in self.models[key]}
        chats = sum(cluster.startswith("chat:") for cluster in clusters)
        if not chats:
            return f"{n} scenario{'s' * (n != 1)}"
        if chats == len(clusters):
            return f"{n} conversation{'s' * (n != 1)}"
        return f"{n} scenarios and conversations"

    def _flips(self, leader: str, key: str) -> str:
        """A clause where so few clusters bind what can be said."""
        pair = between(leader, key, self.pairs)
        if pair is None or pair.sign_flip is None or pair.gap is None or pair.sign_flip.smallest < LEVEL:
            return ""
        if pair.gap.n < MIN_CLUSTERS:
            return f"; fewer than {MIN_CLUSTERS} scenarios are too few to name anybody"
        return f"; a sign-flip test cannot go below p = {pair.sign_flip.smallest:.4g} with {pair.gap.n} clusters"

    # -------------------------------------------------------------------------------- on the scenarios alone

    def on_scenarios(self, leader: str) -> dict[str, Estimate]:
        """How far the leader is before each rival on the scenarios alone; empty in a run without real turns.

        A real turn has no instruction to follow, so a model may lead by many fluent replies that nobody asked for.
        """
        if not any(cluster.startswith("chat:") for values in self.models.values() for cluster, _ in values):
            return {}
        scenarios = {
            key: {prompt: value for prompt, value in self.models[key].items() if prompt[0].startswith("scenario:")}
            for key in (leader, *self.rivals(leader))
        }
        gaps = {key: difference(scenarios[leader], scenarios[key]) for key in self.rivals(leader)}
        return {key: gap for key, gap in gaps.items() if gap is not None}

    def apart(self, leader: str) -> str:
        """A sentence about the rival that does best against the leader on the scenarios alone, where that tells."""
        gaps = self.on_scenarios(leader)
        if all(gap.above_zero for gap in gaps.values()):
            return ""
        key = min(gaps, key=lambda key: (not gaps[key].below_zero, gaps[key].above_zero, gaps[key].mean))
        gap, who, rival = gaps[key], self.name(leader), self.name(key)
        figure = _number(gap.mean, "+") + (f", {_ends(gap.interval)}" if gap.interval else "")
        where = f"On the {gap.n} scenarios alone, where an instruction is to be followed"
        if gap.below_zero:
            return f"{where}, {who} is worse than {rival} ({figure}): real turns say one, the scenarios the other."
        return f"{where}, {who} and {rival} are not separated ({figure})."

    # ------------------------------------------------------------------------------------ beside the numbers

    def left(self) -> str:
        """A sentence about models that miss a gate."""
        return f"Not considered, because they miss a gate: {gated}." if (gated := self.gated()) else ""

    def gated(self) -> str:
        found = (f"{self.name(key)} ({', '.join(self.misses[key])})" for key in self.models if key in self.misses)
        return ", ".join(found)

    def missing(self) -> str:
        """A sentence about prompts that not every model attempted."""
        everything = set().union(*(set(values) for values in self.models.values()))
        common = set.intersection(*(set(values) for values in self.models.values()))
        if len(common) == len(everything):
            return ""
        return (
            f"{len(everything) - len(common)} of {len(everything)} prompts were not attempted by every model; "
            "each pair is compared only on the prompts that both attempted."
        )

    def remarked(self, keys: Sequence[str], *, tied: bool) -> str:
        """What has to be said of these models, a sentence each."""
        ending = "; on what it answered it is not separated" if tied else ""
        return " ".join(f"{self.name(key)} {self.remarks[key]}{ending}." for key in keys if key in self.remarks)


def _ends(interval: Sequence[float]) -> str:
    return f"95 % interval {_number(interval[0])} to {_number(interval[1])}"


def _number(value: float, sign: str = "-") -> str:
    """Two digits behind the point, or three where two would hide on which side of 0 it lies."""
    text = f"{value:{sign}.2f}"
    return f"{value:{sign}.3f}" if value and not float(text) else text
