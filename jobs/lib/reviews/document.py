"""What the reviews say, as parts of templates.json: `stats.would_answer`, and `reviewed` of each template."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from jobs.lib.results.tables import Mining
from jobs.lib.reviews import levels, presorted, verdicts
from jobs.lib.reviews.cards import Deck, deck
from jobs.lib.reviews.levels import LEAST, Known
from jobs.lib.reviews.presorted import Agreement


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
    return asdict(would_answer(cards)) if cards is not None and cards.turns else None


@dataclass(frozen=True, kw_only=True)
class BandPart:
    """What is known about the turns down to a confidence; None where nothing is."""

    confidence: float | None = None
    share: float | None = None  #: of all turns
    turns: int | None = None
    acceptable: float | None = None  #: share that the owner would send
    acceptable_low: float | None = None  #: lower end of its exact interval
    n: int | None = None  #: answers
    sent: int | None = None
    literal: float | None = None  #: share of the turns on which the owner really wrote the draft


@dataclass(frozen=True, kw_only=True)
class LevelPart(BandPart):
    """A level, with figures where it is certified."""

    level: str  #: automatic | suggest
    target: float


@dataclass(frozen=True, kw_only=True)
class WouldAnswer:
    """The part `would_answer` of templates.json.

    `right` counts literally: the owner really wrote that reply. `acceptable` is what the owner says of the drafts.
    """

    turns: int  #: held-out turns that a template may answer
    fired: int  #: those that the automatic level would answer
    right: int
    reviewed: int
    wanted: int  #: cards to ask about
    least: int  #: answers below which nothing is certified
    levels: list[LevelPart]
    bands: list[BandPart]
    judge: Agreement | None = None  #: of the local model that sorted the cards, with your answers; it certifies nothing


def would_answer(cards: Deck) -> WouldAnswer:
    certified = levels.levels(cards)
    automatic = certified[0].known
    return WouldAnswer(
        turns=cards.turns,
        fired=automatic.turns if automatic else 0,
        right=automatic.literal if automatic else 0,
        reviewed=cards.answered,
        wanted=cards.wanted,
        least=LEAST,
        levels=[
            LevelPart(level=level.name, target=level.target, **(_figures(level.known) if level.known else {}))
            for level in certified
        ],
        bands=[BandPart(**_figures(row)) for row in levels.known(cards)],
        judge=presorted.agreement(cards.readings, cards.answers),
    )


def _figures(row: Known) -> dict[str, Any]:
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


def parsed(part: Any) -> WouldAnswer | None:
    """The part as it stands in templates.json; None where there is none."""
    if not part:
        return None
    rows = {"levels": [LevelPart(**row) for row in part["levels"]], "bands": [BandPart(**row) for row in part["bands"]]}
    judge = Agreement(**part["judge"]) if part.get("judge") else None
    return WouldAnswer(**{**part, **rows, "judge": judge})
