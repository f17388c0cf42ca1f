"""Examples of how the owner answers, to be shown to every model before a real turn: the same for all of them.

Each is shown as a turn of the chat that went before: the message as a prompt, the owner's answer as the assistant's
reply. `python -m benchmarks turn_examples` compares that with a list in the prompt and with no example.

Candidates are turns from before the split, short on both sides, in which no rule of jobs.lib.matching.safety finds
anything; where there are enough, those alone whose answer visibly belongs to the message: it asks something, or both
sides name the same thing. Of these the set is chosen whose answers lie nearest to all of the owner's in energy distance
over the style features, so that a few of them show the whole of the owner's manner and not six times its middle. One is
added at a time, the best next to those that are there (support points, greedily: S. Mak and V. R. Joseph, "Support
points", Annals of Statistics 46 (2018) 2562-2592), from another person and with another answer where there are any.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.evaluate.metrics import style
from jobs.lib.matching import safety
from jobs.lib.matching.normalise import normal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

DEFAULT = 6  #: examples per prompt
MOST_INCOMING_WORDS, MOST_ANSWER_WORDS = 20, 15
_LEAST_INCOMING_WORDS = 2
_MOST_CHARACTERS = 160  # of either side
_MOST_CANDIDATES, _MOST_REFERENCE = 300, 400
_LEAST_SPREAD = 0.05
_THING = re.compile(r"[^\W\d_]{4,}")
#: Words that two unrelated messages share.
_COMMON = re.compile(
    "about|also|been|because|cant|cool|could|didnt|dont|from|good|haha|hahaha|have|just|know|like|more|okay|really|should"
    "|some|sure|than|that|them|then|there|they|think|this|were|well|what|when|will|with|would|yeah|your"
)
_MOST_Z = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A message and the owner's answer to it."""

    person: str  #: who wrote the message
    incoming: str
    answer: str


def choose(earlier: Sequence[Example], count: int = DEFAULT) -> list[Example]:
    """Up to `count` of the earlier turns, in their order. The same turns give the same choice."""
    candidates = _candidates([turn for turn in earlier if _belongs(turn)])
    if len(candidates) < count:
        candidates = _candidates(earlier)
    if not candidates or count < 1:
        return []
    answers = [turn.answer for turn in _thin(earlier, _MOST_REFERENCE)]
    reference, points = _points(answers, [turn.answer for turn in candidates])
    taken = _spread_out(candidates, reference, points, count)
    place = {id(turn): number for number, turn in enumerate(earlier)}
    return sorted(taken, key=lambda turn: place[id(turn)])


def _candidates(earlier: Sequence[Example]) -> list[Example]:
    """Turns that may be shown, each answer once, at most so many of them, whichever their hash puts first."""
    different: dict[str, Example] = {}
    for turn in earlier:
        if _is_short(turn):
            different.setdefault(normal(turn.answer), turn)
    chosen: list[Example] = []
    for turn in sorted(different.values(), key=_hash):
        if len(chosen) == _MOST_CANDIDATES:
            break
        if not any(safety.reason(text) for text in (turn.incoming, turn.answer)):
            chosen.append(turn)
    return chosen


def _belongs(turn: Example) -> bool:
    """Whether a stranger can see that the answer is one to this message, and not the start of something else."""
    return "?" in turn.incoming or bool(_things(turn.incoming) & _things(turn.answer))


def _things(text: str) -> set[str]:
    return {word for word in _THING.findall(text.casefold()) if not _COMMON.fullmatch(word)}


def _is_short(turn: Example) -> bool:
    asked, answered = len(turn.incoming.split()), len(turn.answer.split())
    if max(len(turn.incoming), len(turn.answer)) > _MOST_CHARACTERS:
        return False
    return _LEAST_INCOMING_WORDS <= asked <= MOST_INCOMING_WORDS and 1 <= answered <= MOST_ANSWER_WORDS


def _hash(turn: Example) -> str:
    """Depends on the texts alone: neither on time nor on the run."""
    return hashlib.sha256(f"{turn.incoming}\0{turn.answer}".encode("utf-8", "surrogatepass")).hexdigest()


def _thin(turns: Sequence[Example], most: int) -> list[Example]:
    """At most so many, evenly over their order."""
    if len(turns) <= most:
        return list(turns)
    return [turns[place * len(turns) // most] for place in range(most)]


def _points(reference: Sequence[str], texts: Sequence[str]) -> tuple[Numbers, Numbers]:
    """The style features of both in standard deviations of the first."""
    import numpy as np

    of_reference, of_texts = (
        np.array([list(style.features(text).values()) for text in side]) for side in (reference, texts)
    )
    centre, spread = of_reference.mean(axis=0), np.maximum(_LEAST_SPREAD, of_reference.std(axis=0))
    scaled = [np.clip((side - centre) / spread, -_MOST_Z, _MOST_Z) for side in (of_reference, of_texts)]
    return scaled[0], scaled[1]


def _spread_out(candidates: list[Example], reference: Numbers, points: Numbers, count: int) -> list[Example]:
    """Greedy support points: the next is near the reference and far from those already taken."""
    import numpy as np
    from scipy.spatial.distance import cdist

    away = cdist(points, reference).mean(axis=1)
    apart = np.zeros(len(points))
    free = np.ones(len(points), dtype=bool)
    taken: list[Example] = []
    while len(taken) < count and free.any():
        people = {turn.person for turn in taken}
        other = free & np.array([turn.person not in people for turn in candidates])
        allowed = other if other.any() else free
        # Energy of taken + this one, as far as it depends on this one; ties go to the first.
        energy = np.where(allowed, away - apart / (len(taken) + 1), np.inf)
        best = int(energy.argmin())
        taken.append(candidates[best])
        free[best] = False
        apart += cdist(points, points[best : best + 1])[:, 0]
    return taken
