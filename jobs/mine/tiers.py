"""Which templates may be sent, and on what: triggers, tiers and thresholds, chosen on the calibration part.

The rule that will fire them is that of JARVIS: the best cosine over all enabled triggers, from `FIRES_AT` on. Under it
a trigger that fires wrongly is dropped, the worst of its template first, until the template reaches its tier:

    automatic   the Wilson lower bound of its precision on the calibration part meets the target; any trigger that
                ever fires wrongly goes on the way there
    suggest     with it, more turns have a right draft among the first three than without it; a trigger that fires
                wrongly more often than rightly goes
    phrase      frequent, but no trigger predicts it: shown, never sent

What is chosen here flatters itself on the calibration part; the precision that is reported comes from a later part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from jobs.lib.matching import safety
from jobs.lib.matching.rules import FIRES_AT, SLACK
from jobs.lib.stats import wilson
from jobs.mine.answers import Mask, Places, Turns, first_three, hits
from jobs.mine.coverage import Vectors

AUTOMATIC, SUGGEST, PHRASE = "automatic", "suggest", "phrase"
TIERS = (AUTOMATIC, SUGGEST, PHRASE)
MAX_TRIGGER_WORDS = 12  #: a longer turn is not a trigger
MAX_TRIGGERS = 30  #: of one template, the most frequent
SUGGESTS = 0.5  #: a trigger of the suggest tier is right in at least this share of its firings
LEAST_FIRED = 5  #: a threshold rests on at least so many turns
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TriggerSet:
    """Triggers (b): each text once, for the template that it led to most often."""

    turns: Places  #: (b) a turn that says the trigger
    owners: Places  #: (b) number of the template
    templates: int

    def scores(self, near: Scores, enabled: Mask) -> Scores:
        """(t, templates) the best cosine of each template's enabled triggers, -1 where it has none; near (t, b)."""
        best = np.full((len(near), self.templates), -1.0, dtype=np.float32)
        places = np.flatnonzero(enabled)
        if len(places):
            owners = self.owners[places]  # ascending: the bank is sorted by owner
            starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
            best[:, owners[starts]] = np.maximum.reduceat(near[:, places], starts, axis=1)
        return best


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the calibration part allows."""

    bank: TriggerSet
    enabled: Mask  #: (b) triggers that may fire
    tiers: list[str]  #: (k)
    thresholds: list[float | None]  #: (k) for the index of our own

    def of(self, tier: str) -> list[int]:
        return [number for number, found in enumerate(self.tiers) if found == tier]


def allowed(turns: Turns) -> Mask:
    """(t) turns that may be triggers: answered, short and harmless."""
    return np.array(
        [
            reply >= 0 and 0 < len(shown.split()) <= MAX_TRIGGER_WORDS and safety.reason(shown) is None
            for shown, reply in zip(turns.shown, turns.replies, strict=True)
        ],
        dtype=np.bool_,
    )


def bank(turns: Turns, past: Places, may: Mask, label: Places, templates: int) -> TriggerSet:
    """The triggers of all templates among the turns that `may` (t) be; label (u) is each reply's template or -1."""
    counts: list[Counter[str]] = [Counter() for _ in range(templates)]
    total: dict[str, Counter[int]] = {}
    said: dict[str, int] = {}
    for turn in past[may[past]]:
        number, text = int(label[turns.replies[turn]]), turns.texts[turn]
        if number >= 0:
            total.setdefault(text, Counter())[number] += 1
            said.setdefault(text, int(turn))
    for text, led in total.items():
        number = min(led, key=lambda number: (-led[number], number))
        counts[number][text] = led[number]
    kept = [
        (number, said[text])
        for number, found in enumerate(counts)
        for text in sorted(found, key=lambda text: (-found[text], text))[:MAX_TRIGGERS]
    ]
    owners = np.array([number for number, _ in kept], dtype=np.int32)
    return TriggerSet(np.array([turn for _, turn in kept], dtype=np.int32), owners, templates)


def calibrate(found: TriggerSet, near: Scores, good: Mask, target: float) -> Calibrated:
    """near (t, b) cosines of calibration turns to the triggers, good (t, k) which templates are right there."""
    enabled = np.ones(len(found.owners), dtype=np.bool_)
    if not enabled.size or not len(near):
        return Calibrated(found, ~enabled, [PHRASE] * found.templates, [None] * found.templates)
    strict = _without_wrong(found, near, good, enabled, target, 1.0)
    names = _tiers(found, near, good, strict, target)
    # Where even the strictest choice does not make a template automatic, its useful triggers come back.
    enabled = strict | np.array([names[owner] != AUTOMATIC for owner in found.owners], dtype=np.bool_)
    while True:
        enabled = _without_wrong(found, near, good, enabled, target, SUGGESTS)
        names = _tiers(found, near, good, enabled, target)
        kept = enabled & np.array([names[owner] != PHRASE for owner in found.owners], dtype=np.bool_)
        if (kept == enabled).all():
            # A phrase has no trigger left, so what remains was measured just as it will fire.
            return Calibrated(found, enabled, names, thresholds(found.scores(near, enabled), good, target))
        enabled = kept


def _without_wrong(found: TriggerSet, near: Scores, good: Mask, enabled: Mask, target: float, least: float) -> Mask:
    """The enabled triggers without those right in less than `least` of their firings, worst first.

    A template that has reached the target keeps what it has.
    """
    enabled, near = enabled.copy(), near.copy()
    near[:, ~enabled] = -1.0
    while enabled.any():
        fired, right = _by_trigger(found, near, good)
        n = np.bincount(found.owners, weights=fired, minlength=found.templates)
        hit = np.bincount(found.owners, weights=right, minlength=found.templates)
        reached = np.array([meets(int(a), int(b), target) for a, b in zip(hit, n, strict=True)])
        bad = np.flatnonzero(enabled & (right < least * fired) & ~reached[found.owners])
        if not len(bad):
            break
        worst: dict[int, int] = {}
        for trigger in sorted(bad, key=lambda b: (right[b] / fired[b], -fired[b], b)):
            worst.setdefault(int(found.owners[trigger]), int(trigger))
        dropped = list(worst.values())
        enabled[dropped] = False
        near[:, dropped] = -1.0
    return enabled


def _by_trigger(found: TriggerSet, near: Scores, good: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(b) how often each trigger fired as the best of all, and how often rightly."""
    best = near.argmax(axis=1)
    rows = np.flatnonzero(near[np.arange(len(near)), best] >= FIRES_AT - SLACK)
    by = best[rows]
    right = good[rows, found.owners[by]]
    size = len(found.owners)
    return np.bincount(by, minlength=size), np.bincount(by[right], minlength=size)


def _tiers(found: TriggerSet, near: Scores, good: Mask, enabled: Mask, target: float) -> list[str]:
    scores = found.scores(near, enabled)
    order = first_three(scores, FIRES_AT, 4)
    right = hits(order, good)
    first = order[:, 0]
    fired = np.bincount(first[first >= 0], minlength=found.templates)
    hit = np.bincount(first[right[:, 0]], minlength=found.templates)
    gain = gains(order, right, found.templates)
    return [
        AUTOMATIC if meets(int(hit[k]), int(fired[k]), target) else SUGGEST if gain[k] > 0 else PHRASE
        for k in range(found.templates)
    ]


def gains(order: Places, right: Mask, templates: int) -> NDArray[np.int64]:
    """(k) turns with a right draft among three thanks to each template: with it less without it; order, right (t, 4).

    Without a template the fourth of a turn moves up.
    """
    gain = np.zeros(templates, dtype=np.int64)
    count = np.cumsum(right, axis=1)
    for place in range(3):
        there = order[:, place] >= 0
        hit_at_3 = count[:, 2] > 0
        without = count[:, 3] - right[:, place] > 0
        np.add.at(gain, order[there, place], np.subtract(hit_at_3, without, dtype=np.int64)[there])
    return gain


def meets(right: int, n: int, target: float) -> bool:
    interval = wilson(right, n)
    return n >= LEAST_FIRED and interval is not None and interval[0] >= target


def thresholds(scores: Scores, good: Mask, target: float) -> list[float | None]:
    """(k) the lowest cosine from which on a template that scores best is right often enough; None where none is."""
    best = scores.argmax(axis=1) if scores.size else np.empty(0, dtype=np.intp)
    return [_threshold(scores[best == k, k], good[best == k, k], target) for k in range(scores.shape[1])]


def _threshold(scores: Scores, right: Mask, target: float) -> float | None:
    order = np.argsort(-scores, kind="stable")
    values = scores[order]
    lowest = None
    for n, hit in enumerate(accumulate(map(int, right[order])), start=1):
        last_of_equals = n == len(values) or values[n] < values[n - 1]
        if last_of_equals and values[n - 1] > -1 and meets(hit, n, target):
            lowest = float(np.floor(values[n - 1] * 1e4) / 1e4)
    return lowest


def cosines(incoming: Vectors, turns: Places, found: TriggerSet) -> Scores:
    """(t, b) of turns to triggers."""
    near: Scores = incoming[turns] @ incoming[found.turns].T
    return near
