"""One origin, three parts: mined on what lies before it, calibrated on the next tenth, reported on the tenth after.

Nothing that is reported on was mined on or calibrated on, and every rival is measured on the very same turns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from jobs.lib.matching.rules import FIRES_AT
from jobs.lib.stopping import Stopped
from jobs.mine import answers, baseline, coverage, rolling_origin, tiers
from jobs.mine.answers import Mask, MatchCounts, Places, Turns
from jobs.mine.baseline import ManualSet
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours, Vectors
from jobs.mine.rolling_origin import Origin
from jobs.mine.tiers import Calibrated

#: Names of what is measured on the report part, beside the tiers.
DEPLOYED, EVERY_TRIGGER, RANKED = "deployed", "every trigger", "ranked"
FREQUENT, EXACT, MANUAL = "most frequent", "exact", "manual"
FREQUENT_WHERE_FIRED = "most frequent, where fired"
RANKED_WHERE_EXACT, RANKED_WHERE_MANUAL = "ranked, where exact", "ranked, where manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all origins share."""

    corpus: Corpus
    turns: Turns
    incoming: Vectors  #: (turns, e) in the matcher's space
    vectors: Vectors  #: (u, d) in the embedder's space
    near: Neighbours
    may: Mask  #: (turns) which of them may be triggers
    similarity: float
    precision: float  #: the target of the automatic tier
    manual: ManualSet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one origin gave on its report part."""

    origin: Origin
    calibration_turns: int
    covered: int  #: own messages of the report part within the similarity of a template
    messages: int  #: own messages of the report part
    counts: dict[str, int]  #: tier -> templates at this origin
    tallies: dict[str, MatchCounts]
    by_tier: dict[str, MatchCounts]  #: turns on which a template of the tier came first
    by_text: dict[int, MatchCounts]  #: place of a template in the corpus -> turns on which it came first
    index: MatchCounts  #: the per-template thresholds of our own index
    manual_covered: int = 0
    manual_fired: set[int] = field(default_factory=set)


def run(ground: Ground, origin: Origin) -> Trial | None:
    """None where a part has no turns."""
    turns, n = ground.turns, len(ground.corpus.ids)
    end = min(n, origin.end + (origin.end - origin.begin))
    past = turns.past(origin.begin)
    calibration, held = turns.within(origin.begin, origin.end, n), turns.within(origin.end, end, n)
    if end - origin.end < rolling_origin.LEAST_HELD_OUT or not len(past) or not len(calibration) or not len(held):
        return None
    found = calibrated(ground, origin.chosen, past, calibration)
    near = _near(ground, held, found.bank)
    good = _good(ground, origin.chosen, held)
    replies = turns.replies[held]
    scores = found.bank.scores(near, found.enabled)
    offered = answers.first_three(scores, FIRES_AT)
    every = answers.first_three(found.bank.scores(near, np.ones_like(found.enabled)), FIRES_AT)
    led = _good(ground, origin.chosen, past)
    fired = held[every[:, 0] >= 0]
    common = (turns, ground.vectors, past)
    order = answers.ranked(ground.incoming, held, past, led)
    known = baseline.seen_before(turns, past, held)
    tallies = {
        DEPLOYED: answers.tally(offered, good, replies),
        EVERY_TRIGGER: answers.tally(every, good, replies),
        RANKED: answers.tally(order, good, replies),
        FREQUENT: baseline.frequent(*common, held, ground.similarity),
        FREQUENT_WHERE_FIRED: baseline.frequent(*common, fired, ground.similarity),
        EXACT: baseline.exact(*common, held, ground.similarity),
        RANKED_WHERE_EXACT: answers.tally(order[known], good[known], replies[known]),
    }
    later = ground.corpus.ids[origin.end : end]
    reached = coverage.covered(ground.near, origin.chosen, len(ground.corpus.texts))
    trial = Trial(
        origin=origin,
        calibration_turns=len(calibration),
        covered=int(reached[later].sum()),
        messages=len(later),
        counts={tier: len(found.of(tier)) for tier in tiers.TIERS},
        tallies=tallies,
        by_tier={tier: _when(offered, good, found.of(tier)) for tier in tiers.TIERS},
        by_text={origin.chosen[k]: _when(offered, good, [k]) for k in sorted(set(offered[:, 0].tolist()) - {-1})},
        index=_index(found, scores, good),
        manual_covered=int(ground.manual.covered(ground.vectors[later], ground.similarity).sum())
        if ground.manual
        else 0,
    )
    if ground.manual:
        spoke = _manual(ground, ground.manual, held, trial)
        tallies[RANKED_WHERE_MANUAL] = answers.tally(order[spoke], good[spoke], replies[spoke])
    return trial


def calibrated(ground: Ground, chosen: list[int], past: Places, calibration: Places) -> Calibrated:
    """Triggers from `past`, tiers and thresholds from `calibration`."""
    label = answers.nearest_template(ground.vectors, chosen, ground.similarity)
    bank = tiers.bank(ground.turns, past, ground.may, label, len(chosen))
    near = _near(ground, calibration, bank)
    return tiers.calibrate(bank, near, _good(ground, chosen, calibration), ground.precision)


def _near(ground: Ground, turns: Places, bank: tiers.TriggerSet) -> tiers.Scores:
    """(t, b) cosines of turns to triggers, which compete with those of the owner's own templates."""
    near = tiers.cosines(ground.incoming, turns, bank)
    return ground.manual.ahead_of(near, ground.incoming[turns]) if ground.manual else near


def _good(ground: Ground, chosen: list[int], turns: Places) -> Mask:
    return answers.fitting(ground.vectors, ground.turns.replies[turns], ground.vectors[chosen], ground.similarity)


def _when(offered: Places, good: Mask, numbers: list[int]) -> MatchCounts:
    """The turns on which one of these templates came first."""
    rows = np.isin(offered[:, 0], numbers)
    return MatchCounts(fired=int(rows.sum()), right=int(answers.hits(offered[rows, :1], good[rows]).sum()))


def _index(found: Calibrated, scores: tiers.Scores, good: Mask) -> MatchCounts:
    """The best template answers where its own threshold is reached."""
    limits = np.array([np.inf if limit is None else limit for limit in found.thresholds])
    best = scores.argmax(axis=1)
    fires = scores[np.arange(len(scores)), best] >= limits[best]
    return MatchCounts(turns=len(scores), fired=int(fires.sum()), right=int(good[fires, best[fires]].sum()))


def _manual(ground: Ground, manual: ManualSet, held: Places, trial: Trial) -> Mask:
    """Adds what the manual templates did; (t) the turns on which one of them fired."""
    offered = manual.offers(ground.incoming[held])
    replies = ground.turns.replies[held]
    good = answers.fitting(ground.vectors, replies, manual.replies, ground.similarity)
    trial.tallies[MANUAL] = answers.tally(offered, good, replies)
    trial.manual_fired.update(set(offered[:, 0].tolist()) - {-1})
    spoke: Mask = offered[:, 0] >= 0
    return spoke


def trials(ground: Ground, origins: list[Origin], should_stop: Callable[[], bool]) -> list[Trial]:
    """Every origin that has all three parts."""
    found = []
    for origin in origins:
        if should_stop():
            raise Stopped
        found.append(run(ground, origin))
    return [trial for trial in found if trial is not None]
