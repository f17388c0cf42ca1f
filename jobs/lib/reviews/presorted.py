"""Cards that a local model sorted before the owner sees them: of every few cards the likelier ones come first.

The model certifies nothing, and its preference must not choose what is counted either. So it sorts within fixed blocks
of cards, which were cut in the cards' random order; see jobs.lib.reviews.cards.Deck.reviewed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.lib.results.tables import Answer, CardReading
from jobs.lib.stats import wilson

#: Cards that are sorted together. The cards to ask about in a band are a multiple of it.
BLOCK = 5
#: From this chance on the model counts as having said that the owner would send the draft.
WOULD_SEND = 0.5

Key = tuple[str, str]  #: turn, text; see jobs.lib.reviews.cards.Card


@dataclass(frozen=True)
class Readings:
    """What models said of cards."""

    judge: str = ""  #: key of the model that read last; "" where none did
    chances: Mapping[Key, float] = field(default_factory=dict)  #: of that model
    blocks: Mapping[Key, frozenset[str]] = field(default_factory=dict)  #: of all models

    def order(self, keys: Sequence[Key]) -> list[Key]:
        """The keys, each block at the place of its first one, and sorted within; a card of none stays where it is."""
        groups: dict[frozenset[str], list[Key]] = {}
        for key in keys:
            groups.setdefault(self.blocks.get(key) or frozenset(key), []).append(key)
        return [key for group in groups.values() for key in sorted(group, key=lambda key: -self.chances.get(key, 0.0))]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the model that sorts the cards says what the owner says."""

    judge: str
    n: int  #: cards that both answered
    same: int
    same_low: float  #: ends of its 95 % interval
    same_high: float
    always: int  #: cards on which the better of "always yes" and "always no" would have been right

    @property
    def sentence(self) -> str:
        low, high = math.floor(100 * self.same_low), math.ceil(100 * self.same_high)
        return (
            f"The judge {self.judge} sorted the cards and certifies nothing: it says what you said of {self.same} of "
            f"{self.n} ({low} to {high} %), and the same answer each time would have been right on {self.always}."
        )


def read() -> Readings:
    """Of the database."""
    rows = list(CardReading.select().order_by(CardReading.id))
    if not rows:
        return Readings()
    judge = str(rows[-1].judge)
    blocks: dict[Key, frozenset[str]] = {}
    for row in rows:
        if row.block is not None:
            key = (str(row.turn), str(row.template))
            blocks[key] = blocks.get(key, frozenset()) | {str(row.block)}
    chances = {(str(row.turn), str(row.template)): float(row.chance) for row in rows if row.judge == judge}
    return Readings(judge, chances, blocks)


def agreement(readings: Readings, answers: Mapping[Key, Answer]) -> Agreement | None:
    """None where no card has an answer of both."""
    pairs = [
        (chance >= WOULD_SEND, answers[key] == Answer.SEND)
        for key, chance in readings.chances.items()
        if key in answers
    ]
    same, sent = sum(judge == owner for judge, owner in pairs), sum(owner for _, owner in pairs)
    ends = wilson(same, len(pairs))
    if ends is None:
        return None
    low, high = ends
    always = max(sent, len(pairs) - sent)
    return Agreement(judge=readings.judge, n=len(pairs), same=same, same_low=low, same_high=high, always=always)
