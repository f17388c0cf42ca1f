"""Which model to use, or that the numbers do not tell: a typed decision, without a sentence.

A winner is better than every other model that passes the gates; where there is none, the owner's votes may decide.
Where a rival is better than the winner on the scenarios alone, or by the owner's votes, that is a conflict and no
model is named.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobs.lib.comparison.advice import Advice
from jobs.lib.comparison.elimination import LEAST_CHANCE
from jobs.lib.comparison.load import LeftOutRow
from jobs.lib.comparison.pairwise import Pair, Pairwise
from jobs.lib.comparison.preferences import Preferences
from jobs.lib.comparison.prompts import Measure, Scores, by_cluster, measure
from jobs.lib.comparison.scores import FailedGate
from jobs.lib.stats import Estimate

SURE = 0.01  #: adjusted p below which a winner is certain
FAILED = 0.1  #: mean score of a prompt, under which its replies do not do what was asked


class Basis(enum.StrEnum):
    """What there was to decide on."""

    NO_REPLIES = "no_replies"
    ONE_MODEL = "one_model"
    NO_CHECK_PASSED = "no_check_passed"  #: every reply of every model scores 0
    NO_MODEL_PASSES = "no_model_passes"  #: each fails a gate
    ONE_PASSES = "one_passes"  #: only one passes the gates, and it is not better than the others
    COMPARED = "compared"


class Confidence(enum.StrEnum):
    """How certain the decision is."""

    HIGH = "high"  #: adjusted p under SURE against each rival, and the scenarios alone agree
    MODERATE = "moderate"
    LOW = "low"  #: no winner


class Source(enum.StrEnum):
    """What contradicts the ranking over all prompts."""

    VOTES = "votes"
    SCENARIOS = "scenarios"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """`model` leads over all prompts, `rivals` lead by `source`."""

    source: Source = field(metadata={"json": "with"})
    model: str
    rivals: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Quality of the leader less that of another model, on the prompts that both attempted."""

    leader: str
    rival: str
    estimate: Estimate | None  #: None without a common prompt
    pair: Pair | None  #: the test, where the two were tested
    measures: frozenset[Measure]  #: of the clusters that both attempted


@dataclass(frozen=True, kw_only=True)
class VoteCount:
    """The decided votes between two models, and the chance that the owner prefers the first, by votes and scores."""

    preferred: str
    other: str
    won: int
    lost: int
    chance: float
    among: int  #: votes between all models that were tied


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many prompts there were, and how many of them not every model attempted."""

    total: int = 0
    incomplete: int = 0


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """Why a model was not asked to the end: a job of it broke, or later rounds left it out."""

    rounds: int = 0  #: that it was asked in, where it was left out
    broken: LeftOutRow | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a run says about its models. `tied` is in the order of the ranking, the leader first."""

    basis: Basis
    pairwise: Pairwise
    winner: str | None = None
    tied: tuple[str, ...] = ()
    conflict: Conflict | None = None
    confidence: Confidence = Confidence.LOW
    gaps: tuple[Gap, ...] = ()  #: the leader against every other model
    closest: Gap | None = None  #: against the nearest of the rivals, or of the unbeaten where there is no best one
    unbeaten: tuple[str, ...] = ()  #: rivals that the leader does not beat beyond chance
    all_equal: bool = False  #: the unbeaten score the same as the leader on every prompt
    decided_by: VoteCount | None = None  #: votes that decided a tie
    vetoed_by: VoteCount | None = None  #: votes that contradict the numbers
    on_scenarios: Gap | None = None  #: against a rival that the leader does not beat on the scenarios alone
    coverage: Coverage = Coverage()
    interrupted: Mapping[str, Interruption] = field(default_factory=dict)  #: models that were not asked to the end
    failed_scenarios: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: model -> where it fails all
    advice: Advice | None = None  #: what to do about the present model; None where no two models could be compared

    @property
    def leader(self) -> str | None:
        return self.pairwise.eligible[0] if self.pairwise.eligible else None

    @property
    def failed_gates(self) -> Mapping[str, Sequence[FailedGate]]:
        return self.pairwise.failed_gates

    @property
    def rivals(self) -> list[str]:
        """Those that the leader has to beat."""
        others = [key for key in self.pairwise.eligible if key != self.leader]
        return others or [key for key in self.pairwise.scores if key != self.leader]

    @property
    def named(self) -> tuple[str, ...]:
        return (self.winner,) if self.winner else self.tied


def decide(
    pairwise: Pairwise,
    interrupted: Mapping[str, Interruption] | None = None,
    advice: Advice | None = None,
) -> Decision:
    """The decision by the pairs and, where there is advice, by the owner's votes."""
    decision = Decision(
        basis=_basis(pairwise),
        pairwise=pairwise,
        coverage=_coverage(pairwise.scores),
        interrupted=interrupted or {},
        failed_scenarios=_failed_scenarios(pairwise.scores),
        advice=advice,
    )
    if decision.leader is None or decision.basis not in (Basis.ONE_PASSES, Basis.COMPARED):
        return decision
    gaps = tuple(_gap(pairwise, key) for key in pairwise.scores if key != decision.leader)
    decision = replace(decision, gaps=gaps)
    if decision.basis is Basis.ONE_PASSES:
        return decision
    decision = _by_numbers(decision)
    decision = _with_votes(decision, advice.preferences) if advice is not None else decision
    return replace(decision, confidence=_confidence(decision))


def _basis(pairwise: Pairwise) -> Basis:
    if not pairwise.scores:
        return Basis.NO_REPLIES
    if len(pairwise.scores) == 1:
        return Basis.ONE_MODEL
    if not any(any(values.values()) for values in pairwise.scores.values()):
        return Basis.NO_CHECK_PASSED
    if not pairwise.eligible:
        return Basis.NO_MODEL_PASSES
    return Basis.ONE_PASSES if len(pairwise.eligible) == 1 and not pairwise.best else Basis.COMPARED


def _coverage(scores: Mapping[str, Scores]) -> Coverage:
    prompts = [set(values) for values in scores.values()]
    if not prompts:
        return Coverage()
    total = set().union(*prompts)
    return Coverage(total=len(total), incomplete=len(total) - len(set.intersection(*prompts)))


def _failed_scenarios(models: Mapping[str, Scores]) -> dict[str, tuple[str, ...]]:
    """For each model the scenarios of two prompts or more in which it fails every prompt."""
    failed = {}
    for key, scores in models.items():
        clusters = by_cluster({prompt: value for prompt, value in scores.items() if prompt[0].startswith("scenario:")})
        names = [name for name, values in clusters.items() if len(values) > 1 and max(values) < FAILED]
        failed[key] = tuple(name.removeprefix("scenario:") for name in names)
    return {key: names for key, names in failed.items() if names}


def _gap(pairwise: Pairwise, rival: str, *, only: Measure | None = None) -> Gap:
    """The leader against a rival, in quality or in the measure `instructions` alone."""
    leader = pairwise.eligible[0]
    pair = pairwise.between(leader, rival)
    lead = pairwise.on_instructions(leader, rival) if only else pair.lead(leader) if pair else None
    return Gap(leader=leader, rival=rival, estimate=lead, pair=pair, measures=_measures(pairwise, rival, only))


def _measures(pairwise: Pairwise, rival: str, only: Measure | None) -> frozenset[Measure]:
    """The measures of the prompts that the leader and a rival both attempted."""
    if only:
        return frozenset({only})
    leader, other = (pairwise.scores[key] for key in (pairwise.eligible[0], rival))
    return frozenset(measure(prompt) for prompt in leader.keys() & other.keys())


# ----------------------------------------------------------------------------------------------------- numbers


def _by_numbers(decision: Decision) -> Decision:
    """Winner, ties or conflict by the pairs alone."""
    leader, *others = decision.pairwise.eligible
    others = [key for key in others if key not in _hopeless(decision)] or others
    unbeaten = tuple(key for key in others if not decision.pairwise.beats(leader, key)) or tuple(others[:1])
    by_rival = {gap.rival: gap for gap in decision.gaps}
    if not decision.pairwise.best:
        gaps = [by_rival[key] for key in unbeaten]
        equal = all(decision.pairwise.scores[gap.rival] == decision.pairwise.scores[leader] for gap in gaps)
        tied = (leader, *unbeaten)
        return replace(decision, closest=_closest(gaps), unbeaten=unbeaten, all_equal=equal, tied=tied)
    decision = replace(decision, closest=_closest([by_rival[key] for key in decision.rivals]), winner=leader)
    return _unless_scenarios_contradict(decision)


def _hopeless(decision: Decision) -> set[str]:
    """Models that later rounds left out and that still have hardly a chance to come near the best."""
    belief, keys = decision.pairwise.belief, decision.pairwise.taken.keys
    if belief is None:
        return set()
    chances = belief.chance_near_best()
    return {
        key for key, chance in zip(keys, chances, strict=True) if key in decision.interrupted and chance < LEAST_CHANCE
    }


def _closest(gaps: Sequence[Gap]) -> Gap:
    return min(gaps, key=lambda gap: gap.estimate.mean if gap.estimate else math.inf)


def _unless_scenarios_contradict(decision: Decision) -> Decision:
    """The winner by all prompts is none where a rival is better on the scenarios alone.

    A real turn has no instruction to follow, so a model may lead by many fluent replies that do not do as told.
    """
    gaps = _scenario_gaps(decision)
    if all(gap.estimate.above_zero for gap in gaps if gap.estimate):
        return decision
    decision = replace(decision, on_scenarios=min(gaps, key=_support))
    worse = [gap for gap in gaps if gap.estimate is not None and gap.estimate.below_zero]
    if not worse:
        return decision
    worse.sort(key=lambda gap: gap.estimate.mean if gap.estimate else 0.0)
    rivals = tuple(gap.rival for gap in worse if gap.rival in decision.pairwise.eligible)
    if not rivals:
        return replace(decision, winner=None)
    leader = decision.pairwise.eligible[0]
    conflict = Conflict(source=Source.SCENARIOS, model=leader, rivals=rivals)
    return replace(decision, winner=None, tied=(leader, *rivals), conflict=conflict)


def _scenario_gaps(decision: Decision) -> list[Gap]:
    """The leader against each rival on the scenarios alone; empty in a run without real turns."""
    if not any(
        measure(prompt) is Measure.OWN_TURNS for scores in decision.pairwise.scores.values() for prompt in scores
    ):
        return []
    gaps = [_gap(decision.pairwise, key, only=Measure.INSTRUCTIONS) for key in decision.rivals]
    return [gap for gap in gaps if gap.estimate is not None]


def _support(gap: Gap) -> tuple[bool, bool, float]:
    """Sorts gaps by how little they support the leader."""
    estimate = gap.estimate
    return (True, True, math.inf) if estimate is None else (not estimate.below_zero, estimate.above_zero, estimate.mean)


# -------------------------------------------------------------------------------------------- votes, confidence


def _with_votes(decision: Decision, preferences: Preferences) -> Decision:
    """The owner's votes decide a tie, and contradict a winner or a leader."""
    if decision.winner:
        rivals = [key for key in decision.pairwise.eligible if preferences.is_preferred(key, decision.winner)]
        return _vetoed(decision, decision.winner, rivals, preferences) if rivals else decision
    preferred = preferences.named(decision.pairwise.eligible)
    if preferred is None:
        return decision
    if preferred not in decision.tied:
        return _vetoed(decision, decision.pairwise.eligible[0], [preferred], preferences)
    others = [key for key in decision.tied if key != preferred]
    closest = min(others, key=lambda key: preferences.chance(preferred, key))
    count = _count(preferences, preferred, closest, among=preferences.count(decision.tied))
    return replace(decision, winner=preferred, tied=(), conflict=None, decided_by=count)


def _vetoed(decision: Decision, leader: str, rivals: Sequence[str], preferences: Preferences) -> Decision:
    """No winner: `leader` is better by the numbers, and the owner prefers the rivals."""
    rivals = sorted(rivals, key=lambda key: -preferences.chance(key, leader))
    return replace(
        decision,
        winner=None,
        tied=(leader, *rivals),
        conflict=Conflict(source=Source.VOTES, model=leader, rivals=tuple(rivals)),
        vetoed_by=_count(preferences, rivals[0], leader, among=preferences.count([leader, *rivals])),
    )


def _count(preferences: Preferences, preferred: str, other: str, among: int) -> VoteCount:
    won, lost = preferences.decided(preferred, other)
    chance = preferences.chance(preferred, other)
    return VoteCount(preferred=preferred, other=other, won=won, lost=lost, chance=chance, among=among)


def _confidence(decision: Decision) -> Confidence:
    winner = decision.winner
    if winner is None:
        return Confidence.LOW
    if decision.decided_by or winner in decision.interrupted or decision.on_scenarios:
        return Confidence.MODERATE
    pairs = [pair for pair in decision.pairwise.pairs if winner in (pair.first, pair.second)]
    sure = all(pair.p_holm is not None and pair.p_holm < SURE for pair in pairs)
    return Confidence.HIGH if sure else Confidence.MODERATE
