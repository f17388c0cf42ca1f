"""The cards of a review: held-out turns of a mining with the draft that the ranker puts first, and the owner's answers.

The turns are ordered by the ranker's confidence and cut into bands, the most confident first. Within a band the order
is that of a digest of the turn: it is random, the same every night, and knows nothing of what the owner will say.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import heapq
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from jobs.lib.results.tables import Answer, DraftReview, HeldOutDraft, Mining, Template, Verdict
from jobs.lib.reviews import presorted, verdicts
from jobs.lib.reviews.presorted import Key, Readings

#: The bands as shares of all held-out turns, cumulative, and the cards to ask about in each: 100 in all. Less confident
#: drafts are not asked about: 100 answers cannot certify that half of everything would be sent.
SHARES = (0.02, 0.05, 0.15)
CARDS = (50, 25, 25)
GOAL = sum(CARDS)
#: Makes the uuids of texts that the owner worded; any fixed UUID would do.
_NAMESPACE = uuid.UUID("b0a7d3a2-52a7-5b8e-9a07-6f1f0a3f5c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One turn and its draft."""

    turn: str  #: digest of the turn
    incoming: str  #: its messages, one per line
    previous: str | None  #: the owner's message before it
    real_reply: str | None  #: the first message of the owner's real reply
    template: str  #: uuid of the mined template
    text: str  #: uuid of the text that is shown: the template, or the owner's wording of it
    reply: str  #: the draft as it is shown
    probability: float

    @property
    def key(self) -> Key:
        return self.turn, self.text


@dataclass(frozen=True)
class Band:
    """The most confident turns from the last band's end to this one's."""

    share: float  #: of all turns, from the most confident one to this band's last; the real share, not the planned one
    confidence: float  #: the lowest probability in it
    cards: tuple[Card, ...]  #: in their random order
    wanted: int  #: cards to ask about

    @cached_property
    def literal(self) -> int:
        """Cards on which the owner really wrote the words of the draft."""
        return sum(card.real_reply is not None and words(card.real_reply) == words(card.reply) for card in self.cards)


@dataclass(frozen=True)
class Deck:
    """The cards of one mining."""

    run: str
    turns: int  #: held-out turns that a template may answer
    bands: tuple[Band, ...]
    answers: Mapping[Key, Answer]  #: what the owner said, of every night
    readings: Readings = field(default_factory=Readings)  #: what a local model said, where one was asked

    def answer(self, card: Card) -> Answer | None:
        return self.answers.get(card.key)

    @cached_property
    def answered(self) -> int:
        """Cards of this mining that have an answer."""
        return sum(self.answer(card) is not None for band in self.bands for card in band.cards)

    @property
    def wanted(self) -> int:
        """Cards to ask about in all."""
        return sum(min(band.wanted, len(band.cards)) for band in self.bands)

    def reviewed(self, band: Band) -> list[Card]:
        """The cards of a band whose answers count, in their random order.

        An answer to a card that a model sorted counts once its block is answered whole: of a block in progress those
        have an answer that the model preferred.
        """
        blocks = self.readings.blocks
        answered = (card for card in band.cards if self.answer(card) is not None)
        return [card for card in answered if self._begun.isdisjoint(blocks.get(card.key, ()))]

    @cached_property
    def _begun(self) -> frozenset[str]:
        """The blocks in which a card has no answer."""
        blocks = self.readings.blocks
        left = (card.key for band in self.bands for card in band.cards if self.answer(card) is None)
        return frozenset(block for key in left for block in blocks.get(key, ()))

    def asked(self, band: Band) -> list[Card]:
        """The cards of a band in the order in which they are shown."""
        known = {card.key: card for card in band.cards}
        return [known[key] for key in self.readings.order(list(known))]


def turn_id(sent_at: dt.datetime, incoming: str) -> str:
    """A digest that names a turn in whatever run it occurs."""
    moment = sent_at.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return hashlib.sha256(f"{moment}\n{incoming}".encode("utf-8", "replace")).hexdigest()[:32]


def reviewed_turns() -> frozenset[str]:
    """Digests of all turns that have an answer of the owner's, of whatever night."""
    return frozenset(str(row.turn) for row in DraftReview.select(DraftReview.turn).distinct())


def text_id(template: str, edited: str | None) -> str:
    """The uuid of the text that stands for a template: its own, or that of the owner's wording."""
    return template if edited is None else str(uuid.uuid5(_NAMESPACE, edited))


def words(text: str) -> str:
    """What two texts share that say the same in other case, spacing or marks at the end."""
    return " ".join(text.casefold().split()).rstrip(" .!,;…")


def deck(mining: Mining) -> Deck:
    """The cards of a mining, with all answers that are stored for them."""
    of_mining = HeldOutDraft.job == mining.job_id
    turns = HeldOutDraft.select().where(of_mining).count()
    needed = max(math.ceil(SHARES[-1] * turns), GOAL)
    columns = [getattr(HeldOutDraft, name) for name in _Row._fields]
    query = HeldOutDraft.select(*columns).where(of_mining).order_by(HeldOutDraft.probability.desc())
    rows = (_Row(*row) for row in query.tuples().iterator())
    cards = _cards(rows, _replies(mining), needed)
    answers = {(str(row.turn), str(row.template)): Answer(row.answer) for row in DraftReview.select()}
    return Deck(str(mining.run_id), turns, tuple(bands(cards, turns)), answers, presorted.read())


def _replies(mining: Mining) -> dict[str, tuple[str, str]]:
    """uuid of each template that may be sent -> (uuid of its text, the text)."""
    reviews = verdicts.verdicts()
    replies = {}
    for row in Template.select().where(Template.job == mining.job_id):
        review = reviews.get(str(row.uuid))
        if review is not None and review.verdict == Verdict.REJECTED:
            continue
        edited = str(review.edited) if review is not None and review.edited else None
        replies[str(row.uuid)] = (text_id(str(row.uuid), edited), edited or str(row.representative))
    return replies


class _Row(NamedTuple):
    """What a card needs of a held-out turn; see HeldOutDraft."""

    sent_at: dt.datetime
    incoming: str
    previous: str | None
    answer: str | None
    drafts: list[list[Any]]
    probability: float


def _cards(rows: Iterable[_Row], replies: Mapping[str, tuple[str, str]], needed: int) -> list[Card]:
    """One card per turn that has a draft, by its first draft that was not rejected.

    `rows` come the most confident first. They are read until no later one can be among the `needed` best: `match`
    waits for this.
    """
    cards: list[Card] = []
    best: list[float] = []  # a heap of the `needed` highest probabilities
    for row in rows:
        if len(best) == needed and row.probability < best[0]:
            break
        drafts = [(str(template), float(share)) for template, share in row.drafts if str(template) in replies]
        if drafts:
            card = _card(row, drafts[0], replies)
            cards.append(card)
            (heapq.heappush if len(best) < needed else heapq.heappushpop)(best, card.probability)
    return cards


def _card(row: _Row, draft: tuple[str, float], replies: Mapping[str, tuple[str, str]]) -> Card:
    template, probability = draft
    text, reply = replies[template]
    return Card(
        turn=turn_id(row.sent_at, row.incoming),
        incoming=row.incoming,
        previous=row.previous,
        real_reply=row.answer,
        template=template,
        text=text,
        reply=reply,
        probability=probability,
    )


def bands(cards: Sequence[Card], turns: int) -> list[Band]:
    """The cards cut by confidence; a band holds at least as many as are to be asked about, where there are enough."""
    ordered = sorted(cards, key=lambda card: (-card.probability, card.turn))
    result: list[Band] = []
    begin = 0
    for share, wanted in zip(SHARES, CARDS, strict=True):
        end = min(len(ordered), max(math.ceil(share * turns), begin + wanted))
        while 0 < end < len(ordered) and ordered[end].probability == ordered[end - 1].probability:
            end += 1  # a level cannot lie between equal confidences
        if end > begin:
            inside = sorted(ordered[begin:end], key=lambda card: card.turn)
            result.append(Band(end / turns, ordered[end - 1].probability, tuple(inside), wanted))
        begin = max(begin, end)
    return result
