"""From which probability on a draft is what the owner would send: certified by reviews, never by the ranker itself."""

from __future__ import annotations

from dataclasses import dataclass

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


def certified(_run_id: str) -> Levels:
    """The levels that hold for the templates of a run: none as long as no review is stored."""
    return Levels()
