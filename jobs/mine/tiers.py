"""Which templates may be sent on which triggers: triggers, tiers and thresholds, chosen on the calibration part.

JARVIS fires the best cosine over all enabled triggers, if it reaches FIRES_AT. Under this rule the triggers that fire
wrongly are dropped, the worst of each template first, until the template reaches its tier:

    automatic   the Wilson lower bound of its precision on the calibration part meets the target; triggers that fire
                wrongly even once are dropped until it does
    suggest     with it, more turns have a right draft among the first three than without it; triggers that fire
                wrongly more often than rightly are dropped
    phrase      frequent, but no trigger predicts it: shown, never sent

Precision on the calibration part is biased upwards; the precision that is reported comes from a later part.
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
    """Triggers (b): each text once, for the template that answered it most often."""

    turns: Places  #: (b) a turn with the trigger's text
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
    """The result of calibration."""

    bank: TriggerSet
    enabled: Mask  #: (b) triggers that may fire
    tiers: list[str]  #: (k)
    thresholds: list[float | None]  #: (k) for jarvisd's own index

    def of(self, tier: str) -> list[int]:
        return [number for number, name in enumerate(self.tiers) if name == tier]


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
    """The triggers of all templates among the `past` turns for which `may` (t) is True.

    label (u) is the template of each reply, -1 for none.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(templates)]
    total: dict[str, Counter[int]] = {}
    first_turn: dict[str, int] = {}
    for turn in past[may[past]]:
        number, text = int(label[turns.replies[turn]]), turns.texts[turn]
        if number >= 0:
            total.setdefault(text, Counter())[number] += 1
            first_turn.setdefault(text, int(turn))
    for text, led in total.items():
        number = min(led, key=lambda number: (-led[number], number))
        counts[number][text] = led[number]
    kept = [
        (number, first_turn[text])
        for number, texts in enumerate(counts)
        for text in sorted(texts, key=lambda text: (-texts[text], text))[:MAX_TRIGGERS]
    ]
    owners = np.array([number for number, _ in kept], dtype=np.int32)
    return TriggerSet(np.array([turn for _, turn in kept], dtype=np.int32), owners, templates)


def calibrate(triggers: TriggerSet, near: Scores, good: Mask, target: float) -> Calibrated:
    """near (t, b) cosines of calibration turns to the triggers, good (t, k) which templates are right there."""
    enabled = np.ones(len(triggers.owners), dtype=np.bool_)
    if not enabled.size or not len(near):
        return Calibrated(triggers, ~enabled, [PHRASE] * triggers.templates, [None] * triggers.templates)
    strict = _without_wrong(triggers, near, good, enabled, target, 1.0)
    names = _tiers(triggers, near, good, strict, target)
    # A template that the strictest choice does not make automatic gets its useful triggers back.
    enabled = strict | np.array([names[owner] != AUTOMATIC for owner in triggers.owners], dtype=np.bool_)
    while True:
        enabled = _without_wrong(triggers, near, good, enabled, target, SUGGESTS)
        names = _tiers(triggers, near, good, enabled, target)
        kept = enabled & np.array([names[owner] != PHRASE for owner in triggers.owners], dtype=np.bool_)
        if (kept == enabled).all():
            # No phrase has a trigger left, so the enabled triggers were measured exactly as they will fire.
            return Calibrated(triggers, enabled, names, thresholds(triggers.scores(near, enabled), good, target))
        enabled = kept


def _without_wrong(triggers: TriggerSet, near: Scores, good: Mask, enabled: Mask, target: float, least: float) -> Mask:
    """The enabled triggers without those right in less than `least` of their firings, worst first.

    A template that has reached the target keeps what it has.
    """
    enabled, near = enabled.copy(), near.copy()
    near[:, ~enabled] = -1.0
    while enabled.any():
        fired, right = _by_trigger(triggers, near, good)
        n = np.bincount(triggers.owners, weights=fired, minlength=triggers.templates)
        hit = np.bincount(triggers.owners, weights=right, minlength=triggers.templates)
        reached = np.array([meets(int(a), int(b), target) for a, b in zip(hit, n, strict=True)])
        bad = np.flatnonzero(enabled & (right < least * fired) & ~reached[triggers.owners])
        if not len(bad):
            break
        worst: dict[int, int] = {}
        for trigger in sorted(bad, key=lambda b: (right[b] / fired[b], -fired[b], b)):
            worst.setdefault(int(triggers.owners[trigger]), int(trigger))
        dropped = list(worst.values())
        enabled[dropped] = False
        near[:, dropped] = -1.0
    return enabled


def _by_trigger(triggers: TriggerSet, near: Scores, good: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(b) how often each trigger fired as the best of all, and how often rightly."""
    best = near.argmax(axis=1)
    rows = np.flatnonzero(near[np.arange(len(near)), best] >= FIRES_AT - SLACK)
    by = best[rows]
    right = good[rows, triggers.owners[by]]
    size = len(triggers.owners)
    return np.bincount(by, minlength=size), np.bincount(by[right], minlength=size)


def _tiers(triggers: TriggerSet, near: Scores, good: Mask, enabled: Mask, target: float) -> list[str]:
    scores = triggers.scores(near, enabled)
    order = first_three(scores, FIRES_AT, 4)
    right = hits(order, good)
    first = order[:, 0]
    fired = np.bincount(first[first >= 0], minlength=triggers.templates)
    hit = np.bincount(first[right[:, 0]], minlength=triggers.templates)
    gain = gains(order, right, triggers.templates)
    return [
        AUTOMATIC if meets(int(hit[k]), int(fired[k]), target) else SUGGEST if gain[k] > 0 else PHRASE
        for k in range(triggers.templates)
    ]


def gains(order: Places, right: Mask, templates: int) -> NDArray[np.int64]:
    """(k) turns with a right draft among three with each template, minus those without it; order, right (t, 4).

    Without a template the fourth draft of a turn moves up.
    """
    gain = np.zeros(templates, dtype=np.int64)
    count = np.cumsum(right, axis=1)
    for place in range(3):
        offered = order[:, place] >= 0
        hit_at_3 = count[:, 2] > 0
        without = count[:, 3] - right[:, place] > 0
        np.add.at(gain, order[offered, place], np.subtract(hit_at_3, without, dtype=np.int64)[offered])
    return gain


def meets(right: int, n: int, target: float) -> bool:
    interval = wilson(right, n)
    return n >= LEAST_FIRED and interval is not None and interval[0] >= target


def thresholds(scores: Scores, good: Mask, target: float) -> list[float | None]:
    """(k) the lowest cosine from which on a template that scores best meets the target; None where there is none."""
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


def cosines(incoming: Vectors, turns: Places, triggers: TriggerSet) -> Scores:
    """(t, b) of turns to triggers."""
    near: Scores = incoming[turns] @ incoming[triggers.turns].T
    return near
