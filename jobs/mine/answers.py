"""Incoming turns, the owner's real replies to them, and whether a template would have been the right answer.

The rule is that of JARVIS: the incoming turn is compared with every enabled trigger, and the best one fires if its
cosine reaches FIRES_AT. The template is right when the first message of the owner's real reply lies within the
similarity of the template's reply. Firing on a turn that the owner did not answer counts as wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jobs.lib.imessage import Turn
from jobs.lib.matching.inputs import Asked
from jobs.lib.matching.normalise import normal
from jobs.lib.matching.rules import SLACK, form_of
from jobs.mine.corpus import Corpus
from jobs.mine.coverage import Vectors, blocks

#: The ranking of drafts: a past turn at cosine c weighs exp((c - 1) / SOFTNESS) from ALIKE on, and the share of each
#: template among all past replies weighs as much as PRIOR identical turns.
SOFTNESS, ALIKE, PRIOR = 0.1, 0.3, 5.0

Mask = NDArray[np.bool_]
Places = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Turns:
    """Incoming turns in order of time (t), and the first message of each reply as a place in the corpus."""

    texts: list[str]  #: (t) the form that is compared, of the end of the turn
    shown: list[str]  #: (t) as they were written
    replies: Places  #: (t) unique text of the reply's first message, -1 where there was none
    before: NDArray[np.int64]  #: (t) how many of the owner's messages were older than the turn
    settled: NDArray[np.int64]  #: (t) how many were older than its reply; all of them where there was none
    asked: list[Asked] = field(default_factory=list)  #: (t) what the ranker is given of each
    answers: list[str | None] = field(default_factory=list)  #: (t) the first message of each reply as it was written
    chats: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  #: (t) number of the chat
    when: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))  #: (t) POSIX time of its last message

    def answered(self, turns: Places) -> Places:
        """Those of `turns` that have a reply."""
        return turns[self.replies[turns] >= 0]

    def past(self, end: int) -> Places:
        """Turns whose reply is among the first `end` messages: what a mining of those may use."""
        return np.flatnonzero((self.replies >= 0) & (self.settled < end)).astype(np.int32)

    def within(self, begin: int, end: int, messages: int) -> Places:
        """Turns of the part from `begin` to `end`, without those whose reply came after the part."""
        whole = (self.settled < end) | (self.settled >= messages)
        return np.flatnonzero((self.before >= begin) & (self.before < end) & whole).astype(np.int32)


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """Results of suggesting on some turns."""

    turns: int = 0
    replied: int = 0  #: turns that the owner answered
    fired: int = 0  #: turns on which at least one template was suggested
    right: int = 0  #: turns on which the first suggestion was right
    hit_at_3: int = 0  #: turns on which one of the first three was right

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(
            self.turns + other.turns,
            self.replied + other.replied,
            self.fired + other.fired,
            self.right + other.right,
            self.hit_at_3 + other.hit_at_3,
        )


def collect(turns: Sequence[Turn], corpus: Corpus, own_times: Sequence[float]) -> Turns:
    """`own_times` are the POSIX times of the corpus' messages; a turn older than the first of them is left out."""
    place = corpus.index()
    kept = [turn for turn in turns if own_times and turn.when.timestamp() >= own_times[0]]
    replies = [place.get(normal(turn.reply[0].text), -1) if turn.reply else -1 for turn in kept]
    times = np.asarray(own_times)
    when = np.array([turn.when.timestamp() for turn in kept])
    then = np.array([turn.reply[0].when.timestamp() if turn.reply else np.inf for turn in kept])
    return Turns(
        texts=[form_of(turn.text) for turn in kept],
        shown=[" ".join(turn.text.split()) for turn in kept],
        asked=[_asked(turn) for turn in kept],
        chats=np.array([turn.incoming[0].chat for turn in kept], dtype=np.int64),
        when=when,
        answers=[turn.reply[0].text if turn.reply else None for turn in kept],
        replies=np.array(replies, dtype=np.int32),
        before=np.searchsorted(times, when).astype(np.int64),
        settled=np.searchsorted(times, then).astype(np.int64),
    )


def _asked(turn: Turn) -> Asked:
    silence = turn.silence
    return Asked(
        messages=tuple(message.text for message in turn.incoming),
        previous=turn.previous.text if turn.previous else None,
        silence_s=None if silence is None else silence.total_seconds(),
    )


def nearest_template(vectors: Vectors, chosen: list[int], similarity: float) -> Places:
    """(u) for each text the number of the nearest template within the similarity, else -1."""
    best = np.full(len(vectors), -1, dtype=np.int32)
    for block in blocks(len(vectors), len(chosen)) if chosen else []:
        near = vectors[block] @ vectors[chosen].T
        top = near.argmax(axis=1)
        within = near[np.arange(len(top)), top] >= similarity - SLACK
        best[block] = np.where(within, top, -1)
    return best


def fitting(vectors: Vectors, replies: Places, offered: Vectors, similarity: float) -> Mask:
    """(t, k) whether each real reply lies within the similarity of each of the offered ones; False without a reply."""
    near: Mask = vectors[np.maximum(replies, 0)] @ offered.T >= similarity - SLACK
    near &= (replies >= 0)[:, None]
    return near


def first_three(scores: NDArray[np.float32], least: float, count: int = 3) -> Places:
    """(t, count) the best columns of `scores` (t, k) that reach `least`, the best first, -1 where there is none."""
    offered = np.full((len(scores), count), -1, dtype=np.int32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    reached = np.take_along_axis(scores, order, axis=1) >= least - SLACK
    offered[:, : order.shape[1]] = np.where(reached, order, -1)
    return offered


def tally(offered: Places, good: Mask, replies: Places) -> MatchCounts:
    """offered (t, 3) columns of `good` (t, k), the first suggestion first, -1 for none; replies (t)."""
    right = hits(offered, good)
    return MatchCounts(
        turns=len(offered),
        replied=int((replies >= 0).sum()),
        fired=int((offered[:, 0] >= 0).sum()),
        right=int(right[:, 0].sum()),
        hit_at_3=int(right.any(axis=1).sum()),
    )


def hits(offered: Places, good: Mask) -> Mask:
    """(t, j) whether each suggestion is right."""
    right: Mask = np.take_along_axis(good, np.maximum(offered, 0), axis=1) & (offered >= 0)
    return right


def nearest_voted(incoming: Vectors, held: Places, past: Places, led: Mask) -> Places:
    """(t, 3) the three likeliest templates of each held-out turn, by a vote of the past turns most like it.

    incoming (turns, d) unit rows; led (p, k) which templates the reply to each past turn lies within. Every turn gets
    three. A nearest-neighbour vote whose shares are shrunk to the overall share: the ranking of version 0.1.0, kept
    as the rival of the one in `ranking`.
    """
    overall = (led.sum(axis=0) + 0.5) / (len(past) + 1)
    offered = np.empty((len(held), 3), dtype=np.int32)
    votes = led.astype(np.float32)
    for block in blocks(len(held), len(past)):
        near = incoming[held[block]] @ incoming[past].T
        weight = np.where(near >= ALIKE, np.exp((near - 1) / SOFTNESS), 0).astype(np.float32)
        score = (weight @ votes + PRIOR * overall) / (weight.sum(axis=1, keepdims=True) + PRIOR)
        offered[block] = first_three(score.astype(np.float32), 0.0)
    return offered
