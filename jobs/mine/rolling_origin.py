"""How many later messages do templates cover? Measured on messages that were not mined.

Rolling origin: mine on the oldest part, measure on the tenth that follows, and repeat with later origins. People change
what they write about, so one split is not enough: the figures are the median and the range over the origins. A second
measurement leaves whole chats out: how many messages to a new person do the templates cover?
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from jobs.mine import coverage
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Neighbours
from jobs.mine.plan import Section

#: Shares of the messages that are mined; each is measured on the tenth that follows.
ORIGINS = (0.5, 0.6, 0.7, 0.8, 0.9)
SPAN = 0.1
#: Origins that leave room for three parts: mined, calibrated on the next tenth, reported on the tenth after.
TRIALS = (0.5, 0.6, 0.7, 0.8)
#: With fewer held-out messages an origin is not measured.
LEAST_HELD_OUT = 20
#: Each of the so many largest chats is left out once.
CHATS_LEFT_OUT = 20


@dataclass(frozen=True, slots=True)
class Origin:
    """One mining on the past and the part that follows it."""

    share: float  #: of the messages that was mined
    begin: int  #: first message that was held out
    end: int
    chosen: list[int]
    steps: list[float]  #: share of the held-out messages covered by the first 1, 2, ... templates

    @property
    def coverage(self) -> float:
        return self.steps[-1] if self.steps else 0.0

    @property
    def held_out(self) -> int:
        """Number of messages that it was measured on."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class Coverage:
    """The chosen templates, and how many messages they cover: in sample, after each origin, in chats left out."""

    chosen: list[int]  #: places in the corpus, the template that covers most first
    in_sample: list[float]  #: share of the mined messages covered by the first 1, 2, ... templates
    origins: list[Origin]
    chats: list[tuple[int, int]]  #: (covered, messages) of each chat that was left out


def measure(corpus: Corpus, near: Neighbours, chosen: list[int], section: Section) -> Coverage:
    """How much `chosen` covers, and how much the same method covers on messages that it was not given."""
    return Coverage(
        chosen=chosen,
        in_sample=coverage.cumulative_shares(near, chosen, corpus.counts()),
        origins=origins(corpus, near, section.templates, section.min_uses),
        chats=chats_left_out(corpus, near, section.templates, section.min_uses),
    )


def origins(corpus: Corpus, near: Neighbours, templates: int, least: float) -> list[Origin]:
    """Mine before each origin, measure after it; empty where there are too few messages. Counts never look ahead."""
    results = []
    n = len(corpus.ids)
    for share in ORIGINS:
        begin, end = round(n * share), round(n * (share + SPAN))
        if end - begin < LEAST_HELD_OUT:
            continue
        chosen, _ = coverage.greedy(near, corpus.counts(begin), templates, least, allowed=corpus.allowed(begin))
        later = np.bincount(corpus.ids[begin:end], minlength=len(corpus.texts)).astype(np.float32)
        results.append(Origin(share, begin, end, chosen, coverage.cumulative_shares(near, chosen, later)))
    return results


def drift(origins: list[Origin]) -> dict[str, Any] | None:
    """Whether the newest part differs from those before it; None for fewer than three parts.

    It does when its coverage lies outside the range of the others. A test that takes messages as independent would
    find drift every night, because the parts always differ by more than chance.
    """
    if len(origins) < 3:
        return None
    *others, newest = origins
    shares = [origin.coverage for origin in others]
    return {
        "newest": round(newest.coverage, 5),
        "newest_n": newest.held_out,
        "others": len(others),
        "others_range": [round(min(shares), 5), round(max(shares), 5)],
        "differs": not min(shares) <= newest.coverage <= max(shares),
    }


def chats_left_out(corpus: Corpus, near: Neighbours, templates: int, least: float) -> list[tuple[int, int]]:
    """(covered, messages) of each of the largest chats by templates that were mined from all the others."""
    sizes = np.bincount(corpus.people)
    largest = np.argsort(-sizes, kind="stable")[:CHATS_LEFT_OUT]
    everything, reach = corpus.counts(), corpus.reach()
    results = []
    for chat in largest:
        inside = corpus.ids[corpus.people == chat]
        if not LEAST_HELD_OUT <= len(inside) < len(corpus.ids):
            continue
        own = np.bincount(inside, minlength=len(everything)).astype(np.float32)
        others = corpus.candidate & (reach - (own > 0) >= corpus.min_people)
        chosen, _ = coverage.greedy(near, everything - own, templates, least, allowed=others)
        mask = coverage.covered(near, chosen, len(everything))
        results.append((int(mask[inside].sum()), len(inside)))
    return results


def in_use(near: Neighbours, origin: Origin, corpus: Corpus) -> float | None:
    """Share of an origin's templates that have at least one held-out message within their radius."""
    later = np.zeros(len(corpus.texts), dtype=np.bool_)
    later[corpus.ids[origin.begin : origin.end]] = True
    lists = near.of(origin.chosen)
    return float(np.mean([later[members].any() for members in lists])) if lists else None


def curve(origins: list[Origin], in_sample: list[float]) -> list[dict[str, float | int | None]]:
    """Coverage against the number of templates: in sample, and the median over origins held out."""
    points: list[dict[str, float | int | None]] = []
    for k in _ticks(len(in_sample)):
        held_out = [origin.steps[min(k, len(origin.steps)) - 1] for origin in origins if origin.steps]
        points.append(
            {
                "templates": k,
                "in_sample": round(in_sample[k - 1], 5),
                "held_out": round(median(held_out), 5) if held_out else None,
            }
        )
    return points


def _ticks(last: int) -> list[int]:
    """1, 2, 3, 5, 10, then every ten, and the last."""
    return sorted({k for k in (1, 2, 3, 5, *range(10, last, 10), last) if 0 < k <= last})
