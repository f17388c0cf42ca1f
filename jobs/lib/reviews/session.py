"""A review in progress: which card or template is next; each answer is stored at once. No terminal is known here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import peewee

from jarvisd import plugin
from jobs.lib.results.tables import Answer, DraftReview, HeldOutDraft, Mining, Template, TemplateReview, Verdict
from jobs.lib.reviews import cards, verdicts
from jobs.lib.reviews.cards import Card, Deck, words


@dataclass(frozen=True, slots=True)
class _Given:
    """An answer of this session, and the verdict on its template before it."""

    card: Card
    earlier: TemplateReview | None
    edited: bool


@dataclass
class CardSession:
    """session = CardSession(mining); session.next() -> Card; session.answer(card, Answer.SEND)"""

    mining: Mining
    stored: int = 0  #: answers of this session
    _given: list[_Given] = field(default_factory=list)
    _skipped: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.deck: Deck = cards.deck(self.mining)

    def next(self) -> Card | None:
        """The next card: of the first band that has fewer answers than it should; None where all have enough."""
        for band in self.deck.bands:
            if len(self.deck.reviewed(band)) < band.wanted:
                left = (card for card in self.deck.asked(band) if self.deck.answer(card) is None)
                card = next((card for card in left if card.key not in self._skipped), None)
                if card is not None:
                    return card
        return None

    def answer(self, card: Card, answer: Answer, edited: str | None = None) -> bool:
        """Store an answer, with the owner's wording where it is EDIT. False where it has an answer already."""
        before = verdicts.verdicts().get(card.template)
        try:
            with plugin.write():
                DraftReview.create(
                    turn=card.turn,
                    template=card.text,
                    reply=card.reply,
                    incoming=card.incoming,
                    answer=answer,
                    run=self.deck.run,
                    created_at=plugin.now(),
                )
                if edited is not None:
                    verdicts.decide(card.template, before.reply if before else card.reply, Verdict.EDITED, edited)
        except peewee.IntegrityError:
            self.deck = cards.deck(self.mining)
            return False
        self._given.append(_Given(card, before, edited is not None))
        self.stored += 1
        self._renew({**self.deck.answers, card.key: answer}, edited is not None)
        return True

    def _renew(self, answers: dict[tuple[str, str], Answer], reworded: bool) -> None:
        """The deck with these answers; read again where a template was reworded: other drafts change with it."""
        self.deck = cards.deck(self.mining) if reworded else replace(self.deck, answers=answers)

    def skip(self, card: Card) -> None:
        """Do not ask about it again in this session."""
        self._skipped.add(card.key)

    def undo(self) -> Card | None:
        """Take the last answer of this session back; returns its card, None where there is none."""
        if not self._given:
            return None
        last = self._given.pop()
        card = last.card
        with plugin.write():
            DraftReview.delete().where(DraftReview.turn == card.turn, DraftReview.template == card.text).execute()
            if last.edited:
                verdicts.restore(card.template, last.earlier)
        self.stored -= 1
        self._renew({key: answer for key, answer in self.deck.answers.items() if key != card.key}, last.edited)
        return card


# ---------------------------------------------------------------------------------------------- template by template

USES = 3  #: real uses shown with a template, and turns on which it would have been wrong


@dataclass(frozen=True, slots=True)
class Use:
    """One real use of a template: what came in, and what the owner wrote."""

    previous: str | None
    incoming: str
    reply: str


@dataclass(frozen=True, slots=True)
class TemplateCard:
    """A template to keep, to reject or to edit."""

    template: str  #: uuid
    reply: str
    uses: int
    people: int
    tier: str
    real: tuple[Use, ...]
    led: tuple[str, ...]  #: incoming texts that it answered before, where there are too few uses
    fired: int = 0  #: later messages that it would have answered
    right: int = 0  #: of these, those that the owner answered so
    wrong: tuple[Use, ...] = ()  #: messages for which it would have been the draft, with what the owner wrote


@dataclass
class TemplateSession:
    """The templates of a mining, the most used first; those with a verdict are not shown again."""

    mining: Mining
    stored: int = 0
    _given: list[tuple[TemplateCard, TemplateReview | None]] = field(default_factory=list)
    _skipped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        rows = Template.select().where(Template.job == self.mining.job_id)
        ordered = sorted(rows, key=lambda row: (row.tier == "phrase", -row.uses, row.rank))
        self._cards = [_template_card(row) for row in ordered]
        self._uses = _real_uses(self.mining)
        self._wrong = _wrong_drafts(self.mining)

    @property
    def total(self) -> int:
        return len(self._cards)

    @property
    def left(self) -> int:
        done = verdicts.verdicts()
        return sum(card.template not in done for card in self._cards)

    def next(self) -> TemplateCard | None:
        """The next template without a verdict; None where none is left."""
        done = verdicts.verdicts().keys() | self._skipped
        card = next((card for card in self._cards if card.template not in done), None)
        if card is None:
            return None
        real = tuple(self._uses.get(words(card.reply), [])[:USES])
        wrong = [use for use in self._wrong.get(card.template, []) if words(use.reply) != words(card.reply)]
        return replace(card, real=real, led=card.led[: USES - len(real)], wrong=tuple(wrong[:USES]))

    def decide(self, card: TemplateCard, verdict: Verdict, edited: str | None = None) -> None:
        """Store a verdict."""
        earlier = verdicts.verdicts().get(card.template)
        verdicts.decide(card.template, card.reply, verdict, edited)
        self._given.append((card, earlier))
        self.stored += 1

    def skip(self, card: TemplateCard) -> None:
        self._skipped.add(card.template)

    def undo(self) -> TemplateCard | None:
        """Take the last verdict of this session back; returns its template, None where there is none."""
        if not self._given:
            return None
        card, earlier = self._given.pop()
        verdicts.restore(card.template, earlier)
        self.stored -= 1
        return card


def _template_card(row: Template) -> TemplateCard:
    led = tuple(text for text in row.triggers if isinstance(text, str)) if isinstance(row.triggers, list) else ()
    return TemplateCard(
        template=str(row.uuid),
        reply=str(row.representative),
        uses=int(row.uses),
        people=int(row.people),
        tier=str(row.tier),
        real=(),
        led=led,
        fired=int(row.fired),
        right=int(row.right),
    )


def _real_uses(mining: Mining) -> dict[str, list[Use]]:
    """Words of a reply -> the held-out turns that the owner answered with it."""
    query = HeldOutDraft.select().where(HeldOutDraft.job == mining.job_id, HeldOutDraft.answer.is_null(False))
    uses: dict[str, list[Use]] = {}
    for row in query.order_by(HeldOutDraft.place.desc()):
        uses.setdefault(words(str(row.answer)), []).append(Use(row.previous, str(row.incoming), str(row.answer)))
    return uses


def _wrong_drafts(mining: Mining) -> dict[str, list[Use]]:
    """uuid of a template -> the answered turns for which it is the first draft, the most confident first."""
    query = HeldOutDraft.select().where(HeldOutDraft.job == mining.job_id, HeldOutDraft.answer.is_null(False))
    turns: dict[str, list[Use]] = {}
    for row in query.order_by(HeldOutDraft.probability.desc(), HeldOutDraft.place):
        for template, _ in row.drafts[:1]:
            turns.setdefault(str(template), []).append(Use(row.previous, str(row.incoming), str(row.answer)))
    return turns
