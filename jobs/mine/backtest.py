"""One origin, three parts: mined on what lies before it, calibrated on the next tenth, reported on the tenth after.

The report part is used for neither mining nor calibration, and every rival is measured on the same turns of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching.ranker import Values
from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.stopping import Stopped
from jobs.mine import answers, baseline, coverage, ranking, rolling_origin, tiers
from jobs.mine.answers import Mask, MatchCounts, Places, Turns
from jobs.mine.baseline import ManualSet
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours, Vectors
from jobs.mine.ranking import Fitted, Replies, TurnInputs
from jobs.mine.rolling_origin import Origin
from jobs.mine.tiers import Calibrated

#: Names of what is measured on the report part, beside the tiers.
DEPLOYED, EVERY_TRIGGER, RANKED = "deployed", "every trigger", "ranked"
RANKED_ALONE, NEAREST = "ranked, text alone", "k-nearest"
FREQUENT, EXACT, MANUAL = "most frequent", "exact", "manual"
FREQUENT_WHERE_FIRED = "most frequent, where fired"
RANKED_WHERE_EXACT, RANKED_WHERE_MANUAL = "ranked, where exact", "ranked, where manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchData:
    """What all origins share."""

    corpus: Corpus
    turns: Turns
    may_trigger: Mask  #: (turns) which of them may be triggers
    given: TurnInputs  #: of the ranker, in the matcher's space
    may_draft: Mask  #: (turns) which of them may be answered with a template at all
    vectors: Vectors  #: (u, d) in the embedder's space
    near: Neighbours
    similarity: float
    precision: float  #: the target of the automatic tier
    manual: ManualSet | None

    @property
    def incoming(self) -> Vectors:
        """(turns, e) in the matcher's space"""
        return self.given.turn

    def fitting(self, chosen: list[int], turns: Places) -> Mask:
        """(t, k) whether the real reply to each turn lies within the similarity of each template."""
        return answers.fitting(self.vectors, self.turns.replies[turns], self.vectors[chosen], self.similarity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The results of one origin on its report part."""

    origin: Origin
    calibration_turns: int
    covered: int  #: own messages of the report part within the similarity of a template
    messages: int  #: own messages of the report part
    counts: dict[str, int]  #: tier -> templates at this origin
    tallies: dict[str, MatchCounts]  #: DEPLOYED, RANKED, ... -> all turns on which that way of suggesting was tried
    by_tier: dict[str, MatchCounts]  #: turns on which a template of the tier came first
    by_text: dict[int, MatchCounts]  #: place of a template in the corpus -> turns on which it came first
    index: MatchCounts  #: with a threshold per template, as jarvisd's own index fires them
    drafted: NDArray[np.float64]  #: (t, 2) probability of the first draft, 1.0 where it was right; of turns with one
    manual_covered: int
    manual_fired: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The turns of the three parts of an origin, and the owner's messages of the third."""

    past: Places
    calibration: Places
    report: Places
    messages: NDArray[np.int32]  #: (m) unique texts


def trials(data: MatchData, origins: list[Origin], should_stop: Callable[[], bool]) -> list[Trial]:
    """One per origin that has all three parts. Raises Stopped."""
    results = []
    for origin in origins:
        if should_stop():
            raise Stopped
        results.append(run(data, origin))
    return [trial for trial in results if trial is not None]


def run(data: MatchData, origin: Origin) -> Trial | None:
    """None where a part has no turns."""
    parts = _parts(data, origin)
    if parts is None:
        return None
    deployed = calibrated(data, origin.chosen, parts.past, parts.calibration)
    near = _cosines(data, parts.report, deployed.bank)
    scores = deployed.bank.scores(near, deployed.enabled)
    offered = answers.first_three(scores, FIRES_AT)
    good = data.fitting(origin.chosen, parts.report)
    manual = _manual_offers(data, parts)
    chances = chances_of(data, fitted(data, origin.chosen, parts.past, parts.calibration)[1], parts.report)
    reached = coverage.covered(data.near, origin.chosen, len(data.corpus.texts))
    return Trial(
        origin=origin,
        calibration_turns=len(parts.calibration),
        covered=int(reached[parts.messages].sum()),
        messages=len(parts.messages),
        counts={tier: len(deployed.of(tier)) for tier in tiers.TIERS},
        tallies=_tallies(data, origin, parts, good, chances, manual)
        | {
            DEPLOYED: answers.tally(offered, good, data.turns.replies[parts.report]),
            **_every_trigger(data, parts, deployed.bank.scores(near, np.ones_like(deployed.enabled)), good),
        },
        by_tier={tier: _when_first(offered, good, deployed.of(tier)) for tier in tiers.TIERS},
        by_text={origin.chosen[k]: _when_first(offered, good, [k]) for k in sorted(set(offered[:, 0].tolist()) - {-1})},
        index=_index(deployed, scores, good),
        drafted=_drafted(chances[CONTEXT], good),
        manual_covered=_manual_covered(data, parts),
        manual_fired=frozenset() if manual is None else frozenset(manual[:, 0].tolist()) - {-1},
    )


def _parts(data: MatchData, origin: Origin) -> _Parts | None:
    """None where the report part is too short or a part has no turns."""
    turns, n = data.turns, len(data.corpus.ids)
    end = min(n, origin.end + (origin.end - origin.begin))
    parts = _Parts(
        past=turns.past(origin.begin),
        calibration=turns.within(origin.begin, origin.end, n),
        report=turns.within(origin.end, end, n),
        messages=data.corpus.ids[origin.end : end],
    )
    whole = all(map(len, (parts.past, parts.calibration, parts.report)))
    return parts if whole and end - origin.end >= rolling_origin.LEAST_HELD_OUT else None


def calibrated(
    data: MatchData, chosen: list[int], past: Places, calibration: Places, allowed: Mask | bool = True
) -> Calibrated:
    """Triggers from `past`, tiers and thresholds from `calibration`; `allowed` (k): what may be sent at all."""
    label = answers.nearest_template(data.vectors, chosen, data.similarity)
    bank = tiers.bank(data.turns, past, data.may_trigger, label, len(chosen))
    near = _cosines(data, calibration, bank)
    return tiers.calibrate(bank, near, data.fitting(chosen, calibration), data.precision, allowed)


#: Whether the ranker was given what came before a turn.
CONTEXT, ALONE = "with context", "text alone"


def fitted(data: MatchData, chosen: list[int], past: Places, calibration: Places) -> tuple[Fitted, Fitted]:
    """The ranker fitted to `past`, and to both parts."""
    answered = data.turns.answered(calibration)
    return ranking.fit(data.given, replies_of(data, chosen), past, answered, data.fitting(chosen, answered))


def replies_of(data: MatchData, chosen: list[int]) -> Replies:
    nearest = answers.nearest_template(data.vectors, chosen, data.similarity)
    return Replies.of(data.turns.replies, nearest, len(chosen))


def chances_of(data: MatchData, ranker: Fitted, turns: Places) -> dict[str, Values]:
    """(t, k) the probability of each template, -1 where the turn must not be answered with one."""
    may = data.may_draft[turns][:, None]
    rows = {CONTEXT: data.given.rows(turns), ALONE: data.given.rows(turns, alone=True)}
    return {name: np.where(may, ranker.probabilities(given), np.float32(-1)) for name, given in rows.items()}


def _drafted(chances: Values, good: Mask) -> NDArray[np.float64]:
    """(t, 2) probability of the first draft and whether it was right, of the turns that have one."""
    first = chances.argmax(axis=1) if chances.size else np.zeros(len(chances), dtype=np.intp)
    at = np.arange(len(chances))
    pairs = np.stack([chances[at, first], good[at, first]], axis=1).astype(np.float64)
    return pairs[pairs[:, 0] >= 0]


def _cosines(data: MatchData, turns: Places, bank: tiers.TriggerSet) -> tiers.Scores:
    """(t, b) cosines of turns to triggers, which compete with those of the owner's own templates."""
    near = tiers.cosines(data.incoming, turns, bank)
    return data.manual.ahead_of(near, data.incoming[turns]) if data.manual else near


# ----------------------------------------------------------------------------------------------- ways of suggesting


def _tallies(
    data: MatchData,
    origin: Origin,
    parts: _Parts,
    good: Mask,
    chances: dict[str, Values],
    manual: Places | None,
) -> dict[str, MatchCounts]:
    """The mined templates, ranked, and their rivals, each on the turns on which the rival suggests."""
    turns, replies = data.turns, data.turns.replies[parts.report]
    order, alone = (answers.first_three(chances[name], 0.0) for name in (CONTEXT, ALONE))
    voted = answers.nearest_voted(data.incoming, parts.report, parts.past, data.fitting(origin.chosen, parts.past))
    voted[~data.may_draft[parts.report]] = -1
    known = baseline.seen_before(turns, parts.past, parts.report)
    tallies = {
        RANKED: answers.tally(order, good, replies),
        RANKED_ALONE: answers.tally(alone, good, replies),
        NEAREST: answers.tally(voted, good, replies),
        FREQUENT: baseline.frequent(turns, data.vectors, parts.past, parts.report, data.similarity),
        EXACT: baseline.exact(turns, data.vectors, parts.past, parts.report, data.similarity),
        RANKED_WHERE_EXACT: answers.tally(order[known], good[known], replies[known]),
    }
    if data.manual and manual is not None:
        fitting = answers.fitting(data.vectors, replies, data.manual.replies, data.similarity)
        fired = manual[:, 0] >= 0
        tallies[MANUAL] = answers.tally(manual, fitting, replies)
        tallies[RANKED_WHERE_MANUAL] = answers.tally(order[fired], good[fired], replies[fired])
    return tallies


def _every_trigger(data: MatchData, parts: _Parts, scores: tiers.Scores, good: Mask) -> dict[str, MatchCounts]:
    """The mined templates with all their triggers, and the most frequent replies where one of these fires."""
    offered = answers.first_three(scores, FIRES_AT)
    fired = parts.report[offered[:, 0] >= 0]
    return {
        EVERY_TRIGGER: answers.tally(offered, good, data.turns.replies[parts.report]),
        FREQUENT_WHERE_FIRED: baseline.frequent(data.turns, data.vectors, parts.past, fired, data.similarity),
    }


def _manual_offers(data: MatchData, parts: _Parts) -> Places | None:
    """(t, 3) the manual templates that fire on each turn of the report part; None where there are none."""
    return data.manual.offers(data.incoming[parts.report]) if data.manual else None


def _manual_covered(data: MatchData, parts: _Parts) -> int:
    return int(data.manual.covered(data.vectors[parts.messages], data.similarity).sum()) if data.manual else 0


def _when_first(offered: Places, good: Mask, numbers: list[int]) -> MatchCounts:
    """The turns on which one of these templates came first."""
    rows = np.isin(offered[:, 0], numbers)
    return MatchCounts(fired=int(rows.sum()), right=int(answers.hits(offered[rows, :1], good[rows]).sum()))


def _index(deployed: Calibrated, scores: tiers.Scores, good: Mask) -> MatchCounts:
    """The best template answers where its own threshold is reached."""
    limits = np.array([np.inf if limit is None else limit for limit in deployed.thresholds])
    best = scores.argmax(axis=1)
    fires = scores[np.arange(len(scores)), best] >= limits[best]
    return MatchCounts(turns=len(scores), fired=int(fires.sum()), right=int(good[fires, best[fires]].sum()))
