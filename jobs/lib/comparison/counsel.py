"""The advice of a comparison in plain sentences: what to do, how sure that is, and what would make it surer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.lib.comparison.action import Action, Remedy
from jobs.lib.comparison.advice import Advice
from jobs.lib.comparison.decide import Decision
from jobs.lib.comparison.prompts import by_cluster

_FASTER_S = 0.2  #: a difference in the time of a reply that a reader would notice
SMALL = 0.005  #: of quality: printed as "less than 0.01"


@dataclass(frozen=True, kw_only=True)
class Counsel:
    """The sentences about one decision; `names` is what people call each model, `times` its median time in ms."""

    decision: Decision
    names: Mapping[str, str]
    times: Mapping[str, float | None]

    @property
    def sentences(self) -> list[str]:
        advice = self.decision.advice
        if advice is None:
            return []
        if not advice.recommended:
            return self._nothing_better(advice)
        parts = [self._what_to_do(advice), self._record(advice), *self._near(advice), *self._remedy(advice)]
        return [part for part in (*parts, self._measured(), *self._agreement(advice)) if part]

    @property
    def settle(self) -> str:
        """What would decide, as a sentence; "" where it is decided or nothing would."""
        advice = self.decision.advice
        return " ".join(self._remedy(advice)) if advice is not None and advice.recommended else ""

    def name(self, key: str) -> str:
        return self.names.get(key, key)

    def _nothing_better(self, advice: Advice) -> list[str]:
        but = "but a canned reply to everything would have done as well."
        if advice.pick not in advice.below_canned:
            but = "but misses a limit of the plan; a canned reply to everything would have done as well as the others."
        return [f"{self.name(advice.pick)} did best, {but} Keep what you have."]

    def _what_to_do(self, advice: Advice) -> str:
        pick, present = self.name(advice.pick), advice.present
        if advice.action is Action.KEEP and present == advice.pick:
            return f"Keep {pick}: it is the best guess ({in_ten(advice.p_best)} that it is the best)."
        if advice.action is Action.KEEP and present is not None:
            return f"Keep {self.name(present)}: {pick} may be better, but by too little to be worth a change."
        if advice.action is Action.SWITCH and present is not None:
            better = f"{in_ten(advice.chance)} that it is better, by about {advice.gain or 0:.2f} on a scale of 0 to 1"
            return f"Switch from {self.name(present)} to {pick}: {better}."
        told = f"Best guess: {pick} ({in_ten(advice.p_best)} that it is the best)."
        return f"{told} If that is wrong you lose {_amount(advice.loss_if_wrong)} of quality on average."

    def _record(self, advice: Advice) -> str:
        """In how many scenarios and conversations the pick did better than the next model, and whether by luck."""
        record = Record.of(self.decision, advice.pick, advice.rival)
        if record is None or self.decision.decided_by:
            return ""
        told = f"It did better than {self.name(record.rival)} in {record.where}, by {record.gap:.2f} on average"
        if self.decision.winner is None:
            return f"{told}. That could be luck."
        others = len(self.decision.pairwise.scores) - 1
        beaten = "" if others == 1 else f" It did better than each of the {others} other models."
        return f"{told}: more than luck explains.{beaten}"

    def _near(self, advice: Advice) -> list[str]:
        """About models that are nearly as good as the pick; one that is faster is to be taken, unless its replies are
        liked less."""
        near = [key for key in advice.near if key != advice.pick]
        faster = next((key for key in near if self._lead_s(key, advice.pick) >= _FASTER_S), None)
        if faster is not None and advice.action is not Action.KEEP:
            name, pick = self.name(faster), self.name(advice.pick)
            apart = max(abs(advice.gaps[faster]), 0.01)
            return [
                f"{pick} and {name} are about equally good ({apart:.2f} apart).",
                f"{name} answers {self._lead_s(faster, advice.pick):.1f} s sooner: take it, unless you prefer the "
                f"replies of {pick}.",
            ]
        told = [f"{self.name(key)} is nearly as good." for key in near[:2]]
        return told + ([f"So are {len(near) - 2} more."] if len(near) > 2 else [])

    def _lead_s(self, key: str, pick: str) -> float:
        """By how many seconds a model's typical reply comes sooner than that of the pick; 0 where not measured."""
        own, other = self.times.get(key), self.times.get(pick)
        return (other - own) / 1000 if own and other else 0.0

    def _remedy(self, advice: Advice) -> list[str]:
        rival = self.name(advice.rival) if advice.rival else ""
        if advice.action is not Action.UNDECIDED or not rival:
            return []
        if advice.remedy is Remedy.VOTES and advice.votes_wanted:
            between = f"`jarvisctl vote --between {advice.pick} {advice.rival}`"
            return [f"{_answers(advice.votes_wanted)} between it and {rival} would probably decide: {between}."]
        if advice.remedy is Remedy.MORE_ROUNDS:
            return [f"More of your own conversations would probably decide between it and {rival}."]
        return [f"More data may not help: it and {rival} may simply be equally good."]

    def _measured(self) -> str:
        taken = self.decision.pairwise.taken
        if taken.own_turns is None and taken.instructions is not None:
            return (
                "This counts how well instructions are followed; "
                "replies to turns of your own history were not asked for, or could not be measured."
            )
        return ""

    def _agreement(self, advice: Advice) -> list[str]:
        told = advice.agreement
        if not told.of:
            return []
        agreed = f"Our score agrees with your ear in {told.agreed} of {told.of}"
        if advice.first_by_score == advice.pick:
            return [f"{agreed}."]
        first = f"by our score alone {self.name(advice.first_by_score)} is the first"
        return [f"{agreed}, so your votes count for more: {first}."]


@dataclass(frozen=True, kw_only=True)
class Record:
    """In which scenarios and conversations a model did better than its rival."""

    rival: str
    gap: float  #: of the measured quality, on average
    where: str  #: "4 of 5 scenarios and 6 of 8 of your conversations"

    @classmethod
    def of(cls, decision: Decision, pick: str, rival: str | None) -> Record | None:
        """None where the pick did not do better, or the two were not compared."""
        pair = decision.pairwise.between(pick, rival) if rival else None
        lead = pair.lead(pick) if pair else None
        if rival is None or lead is None or lead.mean <= 0:
            return None
        groups = [by_cluster(decision.pairwise.scores[key]) for key in (pick, rival)]
        common = groups[0].keys() & groups[1].keys()
        better = {name for name in common if _mean(groups[0][name]) > _mean(groups[1][name])}
        own = {name for name in common if name.startswith("chat:")}
        parts = ((better - own, common - own, "scenarios"), (better & own, own, "of your conversations"))
        told = [f"{len(part)} of {len(whole)} {words}" for part, whole, words in parts if whole]
        return cls(rival=rival, gap=lead.mean, where=" and ".join(told))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def in_ten(chance: float | None) -> str:
    """ "about 7 in 10"."""
    if chance is None:
        return "unknown"
    if chance >= 0.95:
        return "more than 9 in 10"
    return "less than 1 in 10" if chance < 0.05 else f"about {max(1, round(10 * chance))} in 10"


def _amount(loss: float) -> str:
    return "less than 0.01" if loss < SMALL else f"about {loss:.2f}"


def _answers(count: int) -> str:
    return "One answer of yours" if count == 1 else f"{count} answers of yours"
