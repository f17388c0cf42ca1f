"""The local page's room for reviews: the same cards, templates and rows as `jarvisctl review`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jarvisd.plugin import UsageError
from jarvisd.web.pages import Answer, GoTo, Page, Request, Room, count_in_report, get, post, render
from jarvisd.words import counted

if TYPE_CHECKING:
    from jobs.lib.results.tables import Mining
    from jobs.lib.reviews.session import CardSession, TemplateCard, TemplateSession

#: Where the login keeps its two reviews.
_CARDS, _TEMPLATES = "review.cards", "review.templates"
_OLD_FORM = "That one has your answer already. This is the next one."
_NOTHING_TO_UNDO = "There is no answer of this session to take back."


@dataclass
class Reviewing:
    """Cards in review. Each answer is in the database at once."""

    session: CardSession
    note: str = ""  #: what is known, or what became of the last answer


@dataclass
class Deciding:
    """Templates in review."""

    session: TemplateSession
    note: str = ""


def overview(request: Request) -> Page:
    """What the answers say so far, and where the two reviews begin."""
    from jobs.lib.reviews import cards, verdicts
    from jobs.verbs.review import minings, words

    mining = minings.chosen(request.values.get("run"))
    deck = cards.deck(mining)
    return render(
        "overview.html",
        run=str(mining.run_id),
        deck=deck,
        known=words.known(deck) if deck.turns else [],
        kept=len(verdicts.kept()),
        rejected=len(verdicts.rejected()),
        stored=_stored(request),
    )


def _stored(request: Request) -> int:
    """Answers of this login that the report may not count yet."""
    return sum(review.session.stored for name in (_CARDS, _TEMPLATES) if (review := request.session.get(name)))


def begin(request: Request) -> Answer:
    """Review the run that the form names."""
    from jobs.verbs.review import minings

    mining = minings.chosen(request.field("run") or None)
    if request.field("part") == "templates":
        _begin_templates(request, mining)
        return GoTo("review/templates")
    _begin_cards(request, mining)
    return GoTo("review/cards")


def _begin_cards(request: Request, mining: Mining) -> Reviewing:
    from jobs.lib.reviews.session import CardSession
    from jobs.verbs.review import minings

    session = CardSession(mining)
    minings.require_cards(session)
    review: Reviewing = request.session.setdefault(_CARDS, Reviewing(session))
    if review.session.mining != mining:
        review = request.session[_CARDS] = Reviewing(session)
    return review


def _begin_templates(request: Request, mining: Mining) -> Deciding:
    from jobs.lib.reviews.session import TemplateSession

    review: Deciding | None = request.session.get(_TEMPLATES)
    if review is None or review.session.mining != mining:
        review = request.session[_TEMPLATES] = Deciding(TemplateSession(mining))
    return review


# ------------------------------------------------------------------------------------------------------- card by card


def _cards(request: Request) -> Reviewing:
    """The open review of cards, else one of the newest run that has templates."""
    from jobs.verbs.review import minings

    review: Reviewing | None = request.session.get(_CARDS)
    return review or _begin_cards(request, minings.chosen(None))


def card(request: Request) -> Page:
    from jobs.verbs.review import words

    review = _cards(request)
    session, shown = review.session, review.session.next()
    band = next((band for band in session.deck.bands if shown in band.cards), None)
    return render(
        "card.html",
        card=shown,
        number=session.deck.answered + 1,
        wanted=session.deck.wanted,
        share=words.percent(band.share) if band else "",
        note=review.note,
        stored=session.stored,
        nothing_left=words.nothing_left(session) if shown is None else (),
        longest=words.MOST_CHARACTERS,
    )


def answer_card(request: Request) -> Answer:
    """Store an answer to the card that is shown."""
    from jobs.lib.results.tables import Answer as DraftAnswer
    from jobs.verbs.review import words

    review = _cards(request)
    session, shown = review.session, review.session.next()
    if shown is None or (request.field("turn"), request.field("text")) != (shown.turn, shown.text):
        return _noted(review, _OLD_FORM)
    choice, edited, why_not = request.field("answer"), None, ""
    if choice not in set(DraftAnswer):
        raise UsageError(f"{choice!r} is no answer to a card", "Go back and use one of its buttons.")
    if choice == DraftAnswer.EDIT:
        edited, why_not = words.wording(request.field("edited"), shown.reply)
    if why_not or not session.answer(shown, DraftAnswer(choice), edited):
        return _noted(review, why_not or _OLD_FORM)
    return _noted(review, " ".join(words.known(session.deck)) if session.deck.answered in words.LOOKS else "")


def undo_card(request: Request) -> Answer:
    review = _cards(request)
    return _noted(review, "Taken back." if review.session.undo() else _NOTHING_TO_UNDO)


def _noted(review: Reviewing | Deciding, note: str) -> GoTo:
    """Show the next card or template, with a sentence about the last one."""
    review.note = note
    return GoTo("review/cards" if isinstance(review, Reviewing) else "review/templates")


# ---------------------------------------------------------------------------------------------- template by template


def _templates(request: Request) -> Deciding:
    """The open review of templates, else one of the newest run that has some."""
    from jobs.verbs.review import minings

    review: Deciding | None = request.session.get(_TEMPLATES)
    return review or _begin_templates(request, minings.chosen(None))


def template(request: Request) -> Page:
    from jobs.verbs.review import words

    review = _templates(request)
    session = review.session
    return render(
        "template.html",
        card=session.next(),
        number=session.total - session.left + 1,
        total=session.total,
        note=review.note,
        stored=session.stored,
        longest=words.MOST_CHARACTERS,
    )


def answer_template(request: Request) -> Answer:
    """Store a verdict on the template that is shown, or skip it."""
    review = _templates(request)
    shown = review.session.next()
    if shown is None or request.field("template") != shown.template:
        return _noted(review, _OLD_FORM)
    return _noted(review, _decided(review.session, shown, request.field("answer"), request.field("edited")))


def _decided(session: TemplateSession, shown: TemplateCard, choice: str, typed: str) -> str:
    """Store what was chosen; returns why nothing was changed, or ""."""
    from jobs.lib.results.tables import Verdict
    from jobs.verbs.review import words

    if choice == "skip":
        session.skip(shown)
        return ""
    edited, why_not = words.wording(typed, shown.reply) if choice == Verdict.EDITED else (None, "")
    if choice not in set(Verdict):
        raise UsageError(f"{choice!r} is no answer to a template", "Go back and use one of its buttons.")
    if not why_not:
        session.decide(shown, Verdict(choice), edited)
    return why_not


def undo_template(request: Request) -> Answer:
    review = _templates(request)
    return _noted(review, "Taken back." if review.session.undo() else _NOTHING_TO_UNDO)


# ------------------------------------------------------------------------------------------------------------ the end


async def end(request: Request) -> Answer:
    """End both reviews of this login, and write the report again."""
    stored = _stored(request)
    reviews = [review for name in (_CARDS, _TEMPLATES) if (review := request.session.pop(name, None))]
    if not stored:
        return GoTo("review", "No answer was stored.")
    run = reviews[0].session.mining.run
    told = await count_in_report(request.home, run)
    return GoTo("review", f"{counted(stored, 'answer')} stored. {told}")


WEB = Room(
    name="review",
    title="Review",
    place=40,
    templates=Path(__file__).parent / "templates",
    routes=(
        get("", overview),
        get("run/{run}", overview),
        post("begin", begin),
        get("cards", card),
        post("card", answer_card),
        post("card/undo", undo_card),
        get("templates", template),
        post("template", answer_template),
        post("template/undo", undo_template),
        post("end", end),
    ),
)
