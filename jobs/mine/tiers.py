"""Which templates may be sent on which triggers: triggers, tiers and thresholds, from the calibration part.

JARVIS fires the best cosine over all enabled triggers, if it reaches FIRES_AT. The calibration part is cut in two. On
one half the triggers that fire wrongly are dropped, the worst of each template first; the other half, which chose
nothing, decides the tier:

    automatic   the Wilson lower bound of its precision on the deciding half meets the target; triggers that fire
                wrongly even once on the choosing half are dropped until it does there
    suggest     with it, more turns of the deciding half have a right draft among the first three than without it, and
                hardly by chance; triggers that fire wrongly more often than rightly are dropped
    phrase      no trigger was found that predicts it: shown, never sent

Choosing and deciding on the same turns calls a template automatic that is right in 60 % of cases every second time;
`python -m benchmarks.mining --only tiers` shows both. The precision that is reported comes from a later part.
"""

from __future__ import annotations

import math
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
from jobs.mine.person_names import mask_names

AUTOMATIC, SUGGEST, PHRASE = "automatic", "suggest", "phrase"
TIERS = (AUTOMATIC, SUGGEST, PHRASE)
MAX_TRIGGER_WORDS = 12  #: a longer turn is not a trigger
MAX_TRIGGERS = 30  #: of one template, the most frequent
SUGGESTS = 0.5  #: a trigger of the suggest tier is right in at least this share of its firings
LEAST_FIRED = 5  #: a tier and a threshold rest on at least so many turns
SURE = 0.8  #: chance that a template of the suggest tier really adds right drafts
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


def allowed(turns: Turns, names: frozenset[str] = frozenset()) -> Mask:
    """(t) turns that may be triggers: answered, short, harmless, and without one of the `names` (casefolded)."""
    return np.array(
        [
            reply >= 0
            and 0 < len(shown.split()) <= MAX_TRIGGER_WORDS
            and safety.reason(shown) is None
            and mask_names(shown, names) == shown
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


@dataclass(frozen=True, slots=True)
class Half:
    """Some turns of the calibration part."""

    near: Scores  #: (t, b) cosines to the triggers
    good: Mask  #: (t, k) which templates are right

    def rows(self, which: slice) -> Half:
        return Half(self.near[which], self.good[which])


def calibrate(triggers: TriggerSet, near: Scores, good: Mask, target: float, allowed: Mask | bool = True) -> Calibrated:
    """near (t, b) cosines of calibration turns to the triggers, good (t, k) which templates are right there.

    allowed (k): templates that may be sent at all; the triggers of the others are off from the beginning.
    """
    enabled = np.broadcast_to(allowed, triggers.templates)[triggers.owners].copy()
    if not enabled.any() or len(near) < 2:
        return Calibrated(triggers, enabled & False, [PHRASE] * triggers.templates, [None] * triggers.templates)
    every = Half(near, good)
    choosing, deciding = every.rows(slice(0, None, 2)), every.rows(slice(1, None, 2))
    names, enabled = _decided(triggers, _chosen(triggers, choosing, enabled, target), deciding, target)
    limits = thresholds(triggers.scores(choosing.near, enabled), choosing.good, target)
    return Calibrated(triggers, enabled, names, _held(triggers, limits, enabled, deciding, target))


def _chosen(triggers: TriggerSet, half: Half, enabled: Mask, target: float) -> Mask:
    """The triggers that fire rightly on the half that chooses, all else judged by the same half."""
    strict = _without_wrong(triggers, half.near, half.good, enabled, target, 1.0)
    names = _tiers(triggers, half, strict, target)
    # A template that the strictest choice does not make automatic gets its useful triggers back.
    back = strict | (enabled & np.array([names[owner] != AUTOMATIC for owner in triggers.owners], dtype=np.bool_))
    return _without_wrong(triggers, half.near, half.good, back, target, SUGGESTS)


def _decided(triggers: TriggerSet, enabled: Mask, half: Half, target: float) -> tuple[list[str], Mask]:
    """Tiers on the half that decides, and the triggers of those that may be sent.

    Taking the triggers of a phrase away lets others fire in their place. So it is measured again, and a tier only
    falls: a second look can make nothing better than the first one said.
    """
    names = [AUTOMATIC] * triggers.templates
    while True:
        names = [
            max(old, new, key=TIERS.index)
            for old, new in zip(names, _tiers(triggers, half, enabled, target), strict=True)
        ]
        kept = enabled & np.array([names[owner] != PHRASE for owner in triggers.owners], dtype=np.bool_)
        if (kept == enabled).all():
            return names, enabled
        enabled = kept


def _held(
    triggers: TriggerSet, limits: list[float | None], enabled: Mask, half: Half, target: float
) -> list[float | None]:
    """The thresholds that the deciding half confirms; None for the others."""
    scores = triggers.scores(half.near, enabled)
    best = scores.argmax(axis=1)
    held: list[float | None] = []
    for number, limit in enumerate(limits):
        fires = (best == number) & (scores[:, number] >= (np.inf if limit is None else limit))
        right = int(half.good[fires, number].sum())
        held.append(limit if meets(right, int(fires.sum()), target) else None)
    return held


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


def _tiers(triggers: TriggerSet, half: Half, enabled: Mask, target: float) -> list[str]:
    scores = triggers.scores(half.near, enabled)
    order = first_three(scores, FIRES_AT, 4)
    right = hits(order, half.good)
    first = order[:, 0]
    fired = np.bincount(first[first >= 0], minlength=triggers.templates)
    hit = np.bincount(first[right[:, 0]], minlength=triggers.templates)
    won, lost = gains(order, right, triggers.templates)
    return [
        AUTOMATIC
        if meets(int(hit[k]), int(fired[k]), target)
        else SUGGEST
        if helps(int(won[k]), int(lost[k]))
        else PHRASE
        for k in range(triggers.templates)
    ]


def gains(order: Places, right: Mask, templates: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(k) turns with a right draft among three only with each template, and only without it; order, right (t, 4).

    Without a template the fourth draft of a turn moves up.
    """
    won, lost = np.zeros(templates, dtype=np.int64), np.zeros(templates, dtype=np.int64)
    count = np.cumsum(right, axis=1)
    for place in range(3):
        offered = order[:, place] >= 0
        hit_at_3 = count[:, 2] > 0
        without = count[:, 3] - right[:, place] > 0
        np.add.at(won, order[offered, place], (hit_at_3 & ~without)[offered].astype(np.int64))
        np.add.at(lost, order[offered, place], (~hit_at_3 & without)[offered].astype(np.int64))
    return won, lost


def helps(won: int, lost: int) -> bool:
    """Whether a template that won and lost so many turns wins more than it loses, with a chance of at least SURE.

    The chance is that of a share above one half under a uniform prior: 2 of 2 reach it, 1 of 1 does not.
    """
    n = won + lost + 1
    return sum(math.comb(n, k) for k in range(won + 1)) / 2**n >= SURE


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
