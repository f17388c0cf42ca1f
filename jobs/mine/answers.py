"""Would the templates have answered? Incoming turns that the mining did not see, and what the owner really replied.

The rule is the simplest one: the incoming turn is compared with every trigger, the incoming turns before the origin
whose reply a template covers. The template fires when the best cosine is at least `FIRES_AT`, and it is right when
the first message of the real reply lies within the similarity of the template. A turn without a reply counts too:
firing there is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.imessage import Turn
from jobs.mine.corpus import Corpus
from jobs.mine.cover import SLACK, Vectors, blocks
from jobs.mine.measure import Origin
from jobs.mine.normalise import normal
from jobs.mine.refuse import reason

FIRES_AT = 0.7
MAX_WORDS = 40  #: of an incoming turn that are compared: its last ones are what is answered
SHOWN_WORDS = 12  #: a longer turn is no example of a trigger
SHOWN = 8  #: triggers shown for a template


@dataclass(frozen=True, slots=True)
class Turns:
    """Incoming turns in order of time (t), and the first message of each reply as a place in the corpus."""

    texts: list[str]  #: (t) normal form of their last words
    shown: list[str]  #: (t) as they were written
    replies: NDArray[np.int32]  #: (t) unique text of the reply's first message, -1 where there was none
    before: NDArray[np.int64]  #: (t) how many of the owner's messages were older than the turn
    settled: NDArray[np.int64]  #: (t) how many were older than its reply


@dataclass(frozen=True, slots=True)
class Answers:
    """What the rule did on the held-out turns of one origin."""

    turns: int
    replied: int  #: turns that the owner answered
    fired: int
    right: int
    right_among_three: int


def collect(found: Sequence[Turn], corpus: Corpus, own_times: Sequence[float]) -> Turns:
    """`own_times` are the POSIX times of the corpus' messages; a turn older than the first of them is left out."""
    place = corpus.index()
    kept = [turn for turn in found if own_times and turn.when.timestamp() >= own_times[0]]
    texts = [" ".join(turn.text.split()[-MAX_WORDS:]) for turn in kept]
    replies = [place.get(normal(turn.reply[0].text), -1) if turn.reply else -1 for turn in kept]
    times = np.asarray(own_times)
    when = np.array([turn.when.timestamp() for turn in kept])
    then = np.array([turn.reply[0].when.timestamp() if turn.reply else np.inf for turn in kept])
    return Turns(
        texts=[normal(text) for text in texts],
        shown=[" ".join(turn.text.split()) for turn in kept],
        replies=np.array(replies, dtype=np.int32),
        before=np.searchsorted(times, when).astype(np.int64),
        settled=np.searchsorted(times, then).astype(np.int64),
    )


def nearest_template(vectors: Vectors, chosen: list[int], similarity: float) -> NDArray[np.int32]:
    """(u) for each text the number of the nearest template within the similarity, else -1."""
    best = np.full(len(vectors), -1, dtype=np.int32)
    for block in blocks(len(vectors), len(chosen)) if chosen else []:
        near = vectors[block] @ vectors[chosen].T
        top = near.argmax(axis=1)
        within = near[np.arange(len(top)), top] >= similarity - SLACK
        best[block] = np.where(within, top, -1)
    return best


def measure(turns: Turns, incoming: Vectors, vectors: Vectors, origin: Origin, similarity: float) -> Answers | None:
    """The rule on the turns of the held-out part; None where there are no triggers or no turns.

    incoming (t, d) are the vectors of the turns, vectors (u, d) those of the corpus, both with unit rows.
    """
    label = nearest_template(vectors, origin.chosen, similarity)
    answered = turns.replies >= 0
    # The reply must lie before the origin too: a turn that straddles it is neither a trigger nor held out.
    past = answered & (turns.settled < origin.begin)
    bank = np.flatnonzero(past)[label[turns.replies[past]] >= 0]
    held = np.flatnonzero((turns.before >= origin.begin) & (turns.before < origin.end))
    if not len(bank) or not len(held):
        return None
    owners = label[turns.replies[bank]]
    fired = right = among = 0
    for block in blocks(len(held), len(bank)):
        near = incoming[held[block]] @ incoming[bank].T
        for row, turn in zip(near, held[block], strict=True):
            offered = _offered(row, owners)
            good = [_fits(vectors, origin.chosen[k], int(turns.replies[turn]), similarity) for k in offered]
            fired += bool(offered)
            right += good[:1] == [True]
            among += any(good)
    return Answers(len(held), int(answered[held].sum()), fired, right, among)


def _offered(row: NDArray[np.float32], owners: NDArray[np.int32]) -> list[int]:
    """The templates of the nearest triggers that fire, the best first, at most three different ones."""
    firing = np.flatnonzero(row >= FIRES_AT)
    order = firing[np.argsort(-row[firing], kind="stable")]
    return list(dict.fromkeys(int(k) for k in owners[order]))[:3]


def _fits(vectors: Vectors, template: int, reply: int, similarity: float) -> bool:
    return reply >= 0 and float(vectors[template] @ vectors[reply]) >= similarity - SLACK


def triggers(turns: Turns, vectors: Vectors, chosen: list[int], similarity: float) -> list[list[str]]:
    """For each template the short incoming turns that led to it, the most frequent first."""
    label = nearest_template(vectors, chosen, similarity)
    counts: list[Counter[str]] = [Counter() for _ in chosen]
    spelling: dict[str, str] = {}
    for text, shown, reply in zip(turns.texts, turns.shown, turns.replies, strict=True):
        number = int(label[reply]) if reply >= 0 else -1
        if number >= 0 and 0 < len(shown.split()) <= SHOWN_WORDS and reason(shown) is None:
            counts[number][text] += 1
            spelling.setdefault(text, shown)
    return [
        [spelling[text] for text in sorted(found, key=lambda text: (-found[text], text))[:SHOWN]] for found in counts
    ]
