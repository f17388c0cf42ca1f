"""The questions of a review at the terminal: one card or template at a time, answered by a key."""

from __future__ import annotations

from typing import TypeVar

import click

from jarvisd.words import plain
from jobs.lib.results.tables import Answer, Verdict
from jobs.lib.reviews.cards import Card
from jobs.lib.reviews.session import CardSession, TemplateCard, TemplateSession
from jobs.verbs.review import words
from jobs.verbs.vote.keys import Keyboard, keyboard

Shown = TypeVar("Shown", Card, TemplateCard)
CARD_HINT = "y would send, n would not, e edit, s never answer this kind, w what you wrote, u undo, q quit"
TEMPLATE_HINT = "y keep, n reject, e edit, s skip, u undo, q quit"
_CARD_KEYS = {
    **dict.fromkeys(("y", "yes"), "send"),
    **dict.fromkeys(("n", "no"), "not"),
    **dict.fromkeys(("e", "edit"), "edit"),
    **dict.fromkeys(("s", "never"), "never"),
    **dict.fromkeys(("w", "show"), "show"),
    **dict.fromkeys(("u", "undo"), "undo"),
    **dict.fromkeys(("q", "quit"), "quit"),
}
_TEMPLATE_KEYS = {
    **_CARD_KEYS,
    **dict.fromkeys(("y", "yes", "k", "keep"), "send"),
    **dict.fromkeys(("s", "skip"), "skip"),
}


def ask_cards(session: CardSession) -> None:
    """Show cards and store answers until there are none, or the owner has enough."""
    click.echo(f"Would you send the draft as it stands? {CARD_HINT}.")
    with keyboard(_CARD_KEYS) as keys:
        card = session.next()
        while card is not None:
            click.echo(words.card_page(session, card))
            means = _key(keys, CARD_HINT, words.real_answer(card))
            if means == "quit":
                return
            if means == "undo":
                card = _taken_back(session.undo()) or card
                continue
            _store(session, card, means, keys)
            card = session.next()
    click.echo("\nThat was the last card.")


def _key(keys: Keyboard, hint: str, folded: str | None = None) -> str:
    """What the next known key means; `folded` is what the key w shows."""
    click.echo("> ", nl=False)
    while True:
        answer = keys.ask()
        if answer.means == "show" and folded is not None:
            click.echo(f"{plain(answer.typed)}\n{folded}\n> ", nl=False)
        elif answer.means in ("unknown", "show"):
            click.echo(f"{hint}: ", nl=False)
        else:
            click.echo(plain(answer.typed))
            return answer.means


def _store(session: CardSession, card: Card, means: str, keys: Keyboard) -> None:
    edited = _new_text(keys, card.reply) if means == "edit" else None
    if means == "edit" and edited is None:
        return  # the same card comes again
    if not session.answer(card, Answer(means), edited):
        click.echo("This card has an answer already.")
    elif session.deck.answered in words.LOOKS:
        for line in words.known(session.deck):
            click.echo(line)


def _new_text(keys: Keyboard, reply: str) -> str | None:
    """The owner's wording; None where it stays, or must not be a template."""
    click.echo(f"Instead of {words.quoted(reply)} (Enter alone changes nothing): ", nl=False)
    text, why_not = words.wording(keys.line(), reply)
    if text is None:
        click.echo(why_not)
    return text


def _taken_back(last: Shown | None) -> Shown | None:
    click.echo("Taken back." if last else "There is no answer of this session to take back.")
    return last


def ask_templates(session: TemplateSession) -> None:
    """Show templates and store verdicts until there are none, or the owner has enough."""
    click.echo(f"Would you send this reply again? {TEMPLATE_HINT}.")
    with keyboard(_TEMPLATE_KEYS) as keys:
        card = session.next()
        while card is not None:
            click.echo(words.template_page(session, card))
            means = _key(keys, TEMPLATE_HINT)
            if means == "quit":
                return
            if means == "undo":
                card = _taken_back(session.undo()) or card
                continue
            _decide(session, card, means, keys)
            card = session.next()
    click.echo("\nThat was the last template.")


def _decide(session: TemplateSession, card: TemplateCard, means: str, keys: Keyboard) -> None:
    if means == "skip":
        session.skip(card)
    elif means == "edit":
        if (edited := _new_text(keys, card.reply)) is not None:
            session.decide(card, Verdict.EDITED, edited)
    elif means in ("send", "not"):
        session.decide(card, Verdict.KEPT if means == "send" else Verdict.REJECTED)
