"""What the reviews say, as parts of templates.json: `stats.would_answer`, and `reviewed` of each template."""

from __future__ import annotations

from typing import Any

from jobs.lib.results.tables import Mining
from jobs.lib.reviews import levels, verdicts
from jobs.lib.reviews.cards import Deck, deck
from jobs.lib.reviews.levels import LEAST, Known, Level


def add(document: dict[str, Any], run_id: str) -> None:
    """Put what the reviews say into the document of a run."""
    document["stats"]["would_answer"] = of_run(run_id)
    reviews = verdicts.verdicts()
    for template in document["templates"]:
        review = reviews.get(template["id"])
        template["reviewed"] = str(review.verdict) if review is not None else None
        template["edited"] = review.edited if review is not None else None


def of_run(run_id: str) -> dict[str, Any] | None:
    """`would_answer` of the run's newest mining; None where it has no held-out drafts."""
    mining = Mining.select().where(Mining.run == run_id).order_by(Mining.job.desc()).first()
    cards = deck(mining) if mining is not None else None
    return would_answer(cards) if cards is not None and cards.turns else None


def would_answer(cards: Deck) -> dict[str, Any]:
    """Held-out turns, those that the automatic level would answer, and what is known about each level.

    `right` counts literally: the owner really wrote that reply. `acceptable` is what the owner says of the drafts.
    """
    certified = levels.levels(cards)
    automatic = certified[0].known
    return {
        "turns": cards.turns,
        "fired": automatic.turns if automatic else 0,
        "right": automatic.literal if automatic else 0,
        "reviewed": cards.answered,
        "wanted": cards.wanted,
        "least": LEAST,
        "levels": [_level(level) for level in certified],
        "bands": [_known(row) for row in levels.known(cards)],
    }


def _level(level: Level) -> dict[str, Any]:
    row = {"level": level.name, "target": level.target}
    return row | (_known(level.known) if level.known else dict.fromkeys(_KEYS))


_KEYS = ("confidence", "share", "turns", "acceptable", "acceptable_low", "n", "sent", "literal")


def _known(row: Known) -> dict[str, Any]:
    return {
        "confidence": row.confidence,
        "share": round(row.share, 5),
        "turns": row.turns,
        "acceptable": round(row.sent / row.n, 5) if row.n else None,
        "acceptable_low": round(row.low, 5) if row.n else None,
        "n": row.n,
        "sent": row.sent,
        "literal": round(row.literal / row.turns, 5) if row.turns else None,
    }
