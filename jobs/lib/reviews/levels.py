"""From which confidence on the owner would send a draft: certified by the owner's answers alone.

The claim about a level is the lower end of the exact one-sided 95 % interval of "would send" among all turns down to
it. Bands are asked about at different rates, so a level counts as many answers of each of its bands as the least asked
one allows: these are a sample of its turns. Levels are tried from the most confident one down, and the first that
misses the target ends the search. With this fixed order the chance of any false claim is that of one interval (Maurer,
Hothorn, Lehmacher 1995, "Multiple comparisons in drug clinical trials: a-priori ordered hypotheses"). To look again
after more answers adds to it: tests/unit/test_review_levels.py simulates looks after 30, 60 and 100.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.lib.results.tables import Answer
from jobs.lib.reviews.cards import Band, Deck
from jobs.lib.stats import exact_low

#: What the lower end must reach: to be sent automatically, to be suggested.
TARGETS = {"automatic": 0.8, "suggest": 0.5}
#: A level rests on at least so many answers.
LEAST = 25
#: Chance that a claim about one level is false.
ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the answers say about the turns from the most confident one down to a confidence."""

    share: float  #: of all turns
    confidence: float
    n: int  #: answers that count
    sent: int  #: of these, drafts that the owner would send as they stand
    low: float  #: lower end of the exact interval of sent / n
    turns: int  #: held-out turns in it
    literal: int  #: of these, turns on which the owner really wrote the draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A certified level, or why there is none."""

    name: str  #: automatic | suggest
    target: float
    known: Known | None  #: None where no level is certified


def known(deck: Deck) -> list[Known]:
    """One row per band, from the most confident one down."""
    rows = []
    for last in range(1, len(deck.bands) + 1):
        inside = deck.bands[:last]
        answers = _sample(deck, inside)
        sent = sum(answer == Answer.SEND for answer in answers)
        rows.append(
            Known(
                share=inside[-1].share,
                confidence=inside[-1].confidence,
                n=len(answers),
                sent=sent,
                low=exact_low(sent, len(answers), ALPHA),
                turns=sum(len(band.cards) for band in inside),
                literal=sum(band.literal for band in inside),
            )
        )
    return rows


def _sample(deck: Deck, inside: tuple[Band, ...]) -> list[Answer]:
    """Answers of each band in proportion to its turns: the first ones in the bands' random order."""
    reviewed = [deck.reviewed(band) for band in inside]
    rate = min(len(cards) / len(band.cards) for cards, band in zip(reviewed, inside, strict=True))
    chosen = [cards[: int(rate * len(band.cards) + 1e-9)] for cards, band in zip(reviewed, inside, strict=True)]
    answers = [deck.answer(card) for cards in chosen for card in cards]
    return [answer for answer in answers if answer is not None]


def levels(deck: Deck) -> list[Level]:
    """The lowest certified level of each target."""
    rows = known(deck)
    return [Level(name=name, target=target, known=_lowest(rows, target)) for name, target in TARGETS.items()]


def _lowest(rows: list[Known], target: float) -> Known | None:
    lowest = None
    for row in rows:
        if row.n < LEAST:
            continue  # how many were asked says nothing about the answers
        if row.low < target:
            break
        lowest = row
    return lowest
