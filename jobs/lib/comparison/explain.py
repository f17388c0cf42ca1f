"""The sentences of the comparison, made from its decisions: nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.lib.comparison.counsel import Counsel
from jobs.lib.comparison.decide import Basis, Decision, Gap, VoteCount
from jobs.lib.comparison.load import LeftOutRow
from jobs.lib.comparison.scores import FailedGate, Gate
from jobs.lib.models import memory
from jobs.lib.results.tables import Cause


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A decision in words; `names` is what people call each model, `times` its median time in ms."""

    decision: Decision
    names: Mapping[str, str]
    times: Mapping[str, float | None] = field(default_factory=dict)
    not_compared: str | None = None  #: what JARVIS calls its model, where no model of the run is it
    scenarios: Mapping[str, str] = field(default_factory=dict)  #: id -> the message that comes in

    def name(self, key: str) -> str:
        return self.names.get(key, key)

    @property
    def why(self) -> str:
        """What to do and why, in plain sentences."""
        if (nothing := self._nothing()) or self.decision.advice is None:
            return nothing
        parts = [
            *Counsel(decision=self.decision, names=self.names, times=self.times).sentences,
            *self._votes(),
            self._interruptions(),
            *self._failed_scenarios(),
            f"JARVIS is set to {self.not_compared}, which was not compared." if self.not_compared else "",
            f"Not considered, because they miss a limit of the plan: {failing}."
            if (failing := self._failing())
            else "",
        ]
        return " ".join(part for part in parts if part)

    @property
    def settle(self) -> str:
        """What would decide, as a sentence; "" where it is decided or nothing would."""
        return Counsel(decision=self.decision, names=self.names, times=self.times).settle

    @property
    def details(self) -> str:
        """The figures that the decision rests on."""
        if (nothing := self._nothing()) or self.decision.basis is Basis.NO_MODEL_PASSES:
            return nothing
        return self._only_one() if self.decision.basis is Basis.ONE_PASSES else self._compared()

    def _nothing(self) -> str:
        """Why nothing can be decided; "" where it can."""
        decision, scores = self.decision, self.decision.pairwise.scores
        if decision.basis is Basis.NO_REPLIES:
            return "No model gave replies, so there is nothing to compare."
        if decision.basis is Basis.ONE_MODEL:
            only = self.name(next(iter(scores)))
            return f"Only one model could be compared: {only}. A winner needs another one."
        if decision.basis is Basis.NO_CHECK_PASSED:
            return "No model gave a reply that passed a check, so there is nothing to choose from."
        if decision.basis is Basis.NO_MODEL_PASSES:
            return f"No model keeps the limits of the plan: {self._failing()}. Keep what you have."
        return ""

    def _only_one(self) -> str:
        only = self.name(self.decision.leader or "")
        return (
            f"Only {only} keeps the limits of the plan, and it is not better than the others beyond chance; "
            f"left out: {self._failing()}. {self._incomplete()}"
        ).strip()

    def _compared(self) -> str:
        best = self.decision.pairwise.best
        parts = [
            self._best() if best else self._undecided(),
            *self._votes(chance=True),
            self._on_scenarios() if best else "",
            self._interruptions(),
            f"Not considered, because they miss a limit of the plan: {failing}."
            if (failing := self._failing())
            else "",
            self._incomplete(),
        ]
        return " ".join(part for part in parts if part)

    # ------------------------------------------------------------------------------------- on all prompts

    def _best(self) -> str:
        gap, rivals = self._closest(), self.decision.rivals
        rival = self.name(gap.rival)
        among = f"each of the {len(rivals)} other models: against {rival}, the closest,"
        than = f"{rival}:" if len(rivals) == 1 else among
        alone = (
            " the only one that keeps the limits of the plan, and" if len(self.decision.pairwise.eligible) == 1 else ""
        )
        return f"{self.name(gap.leader)} is{alone} better than {than} {_figures(gap)}."

    def _undecided(self) -> str:
        gap, unbeaten = self._closest(), len(self.decision.unbeaten)
        rest = f" and {unbeaten - 1} more" if unbeaten > 1 else ""
        text = f"{self.name(gap.leader)} is not better than {self.name(gap.rival)}{rest} beyond chance: "
        same = " Their replies score the same on every prompt." if self.decision.all_equal else ""
        return f"{text}{_figures(gap)}.{same}"

    def _closest(self) -> Gap:
        gap = self.decision.closest
        if gap is None:
            raise ValueError(f"a decision with the basis {self.decision.basis} has no closest rival")
        return gap

    # ------------------------------------------------------------------------------- what else speaks for it

    def _votes(self, *, chance: bool = False) -> list[str]:
        """What the owner's votes say; with the posterior chance of it where `chance` is asked for."""
        if count := self.decision.decided_by:
            told = f"{count.among} votes of the owner decide between them, for {self.name(count.preferred)}"
            return [f"{told} ({self._counted(count, chance)})."]
        if count := self.decision.vetoed_by:
            told = f"But the owner's votes prefer {self.name(count.preferred)}"
            return [f"{told} ({self._counted(count, chance)}): numbers and votes disagree."]
        return []

    def _counted(self, count: VoteCount, chance: bool) -> str:
        """ "11 of 12 decided votes against B, preferred to it with a chance of 0.99"."""
        decided = f"{count.won} of {count.won + count.lost} decided votes against {self.name(count.other)}"
        return f"{decided}, preferred to it with a chance of {min(count.chance, 0.99):.2f}" if chance else decided

    def _failed_scenarios(self) -> list[str]:
        """About scenarios in which a model does nothing of what was asked, by the messages that come in."""
        return [
            f"{self.name(key)} does nothing of what was asked in reply to {' and '.join(map(self._message, ids))}."
            for key, ids in self.decision.failed_scenarios.items()
        ]

    def _message(self, scenario: str) -> str:
        return f"“{self.scenarios[scenario]}”" if self.scenarios.get(scenario) else scenario

    def _on_scenarios(self) -> str:
        """About the rival that does best against the leader on the scenarios alone, where that matters."""
        gap = self.decision.on_scenarios
        if gap is None or gap.estimate is None:
            return ""
        leader, rival, estimate = self.name(gap.leader), self.name(gap.rival), gap.estimate
        figure = _number(estimate.mean, "+") + (f", {_ends(estimate.interval)}" if estimate.interval else "")
        where = f"On the {estimate.n} prompts of the scenarios alone, where an instruction is to be followed"
        if estimate.below_zero:
            return f"{where}, {leader} is worse than {rival} ({figure}): real turns say one, the scenarios the other."
        return f"{where}, {leader} and {rival} are not separated ({figure})."

    def _interruptions(self) -> str:
        """About models that are named and were not asked to the end."""
        decision = self.decision
        tied = not decision.winner and not decision.conflict
        ending = "; on what it answered it is not separated" if tied else ""
        named = [key for key in decision.named if key in decision.interrupted]
        return " ".join(f"{self.name(key)} {self._interruption(key)}{ending}." for key in named)

    def _interruption(self, key: str) -> str:
        interruption = self.decision.interrupted[key]
        if interruption.broken:
            return f"did not finish: {left_out(interruption.broken, self.names)}"
        return f"was left out after round {interruption.rounds} and was not asked again"

    def _failing(self) -> str:
        """Every model that fails a gate, with the reasons."""
        failing = self.decision.failed_gates
        models = (key for key in self.decision.pairwise.scores if key in failing)
        return ", ".join(f"{self.name(key)} ({', '.join(map(failed_gate, failing[key]))})" for key in models)

    def _incomplete(self) -> str:
        """About prompts that not every model attempted."""
        coverage = self.decision.coverage
        if not coverage.incomplete:
            return ""
        return (
            f"{coverage.incomplete} of {coverage.total} prompts were not attempted by every model; "
            "each pair is compared only on the prompts that both attempted."
        )


def failed_gate(failed: FailedGate) -> str:
    """Why a model may not be chosen."""
    if failed.gate is Gate.SUCCESS:
        return f"{failed.successes} of {failed.total} replies complete, under {100 * failed.limit:.0f} %"
    if failed.gate is Gate.MEMORY:
        return f"peak of {memory.told(failed.value)}, over {memory.told(failed.limit)}"
    return f"one reply in 20 took {failed.value / 1000:.1f} s or more, over {failed.limit / 1000:.1f} s"


def left_out(row: LeftOutRow, names: Mapping[str, str] | None = None) -> str:
    """Why later rounds no longer ask a model; `names` is what people call each model."""
    leader = str(row.details.get("leader", "?"))
    told = {name: memory.told(float(row.details[name])) for name in ("peak_mb", "limit_mb") if name in row.details}
    named = {"leader": (names or {}).get(leader, leader)}
    return _CAUSES[row.cause].format_map(_Details({**row.details, **told, **named}))


class _Details(dict[str, Any]):
    """The numbers of a cause."""

    def __missing__(self, key: str) -> str:
        return "?"


_CAUSES = {
    Cause.NO_COMPLETE_REPLY: "it gave no complete reply",
    Cause.JOB_FAILED: "its job failed in round {round}",
    Cause.JOB_CANCELLED: "its job was cancelled in round {round}",
    Cause.SUCCESS_GATE: "{successes} of {total} replies complete, so hardly more than {most_percent:.0f} % of all",
    Cause.MEMORY_GATE: "its peak of {peak_mb} is over {limit_mb}",
    Cause.BEHIND: "{mean:.2f} behind {leader} ({low:.2f} to {high:.2f})",
    Cause.NO_CHANCE: "{behind:.2f} behind {leader}, with hardly a chance to come near the best",
    Cause.TOLD: "{text}",
}


# ------------------------------------------------------------------------------------------------- figures


def _figures(gap: Gap) -> str:
    """ "+0.12 (95 % interval 0.03 to 0.21, 13 prompts in common, p = 0.012 after Holm)"."""
    estimate, pair = gap.estimate, gap.pair
    if estimate is None or pair is None:
        return "they have no prompt in common"
    where = f"{pair.prompts} prompt{'s' * (pair.prompts != 1)} in common"
    if estimate.interval is None:
        return f"{_number(estimate.mean, '+')}, {where}, each asked once, so no interval"
    p = "" if pair.p_holm is None else f", {p_value(pair.p_holm)} after Holm"
    return f"{_number(estimate.mean, '+')} ({_ends(estimate.interval)}, {where}{p})"


def p_value(p: float | None) -> str:
    """ "p = 0.012"."""
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _ends(interval: Sequence[float]) -> str:
    return f"95 % interval {_number(interval[0])} to {_number(interval[1])}"


def _number(value: float, sign: str = "-") -> str:
    """Two digits behind the point, or three where two would hide on which side of 0 it lies."""
    text = f"{value:{sign}.2f}"
    return f"{value:{sign}.3f}" if value and not float(text) else text
