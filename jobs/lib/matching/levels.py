"""From which probability on a draft is what the owner would send: certified by reviews, never by the ranker itself."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.lib.results.tables import Mining
from jobs.lib.reviews import cards
from jobs.lib.reviews import levels as reviewed

AUTOMATIC, SUGGEST, DRAFT = "automatic", "suggest", "draft"


@dataclass(frozen=True, slots=True)
class Levels:
    """The lowest certified probabilities; None where too few reviews certify any."""

    automatic: float | None = None
    suggest: float | None = None

    def of(self, probability: float) -> str:
        """automatic | suggest | draft"""
        if self.automatic is not None and probability >= self.automatic:
            return AUTOMATIC
        if self.suggest is not None and probability >= self.suggest:
            return SUGGEST
        return DRAFT


def certified(mining: Mining) -> Levels:
    """The levels that the owner's answers certify for the ranker of a mining."""
    if not cards.reviewed_turns():
        return Levels()  # the held-out turns need not be read
    known = {level.name: level.known for level in reviewed.levels(cards.deck(mining))}
    automatic, suggest = known["automatic"], known["suggest"]
    return Levels(
        automatic=automatic.confidence if automatic else None, suggest=suggest.confidence if suggest else None
    )
