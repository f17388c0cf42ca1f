"""`jarvisctl review`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jarvisd.cli.common import App
from jarvisd.operations import report
from jarvisd.words import counted

if TYPE_CHECKING:
    from jobs.lib.results.tables import Mining
    from jobs.lib.reviews.session import CardSession, TemplateSession


@click.command("review")
@click.argument("run", required=False)
@click.option("--templates", "by_template", is_flag=True, help="Decide template by template: keep, reject or edit.")
@click.option("--stats", is_flag=True, help="Show what your answers say so far; asks nothing.")
@click.option("--json", "as_json", is_flag=True, help="What your answers say, as one JSON document; asks nothing.")
@click.pass_obj
def review(app: App, run: str | None, by_template: bool, stats: bool, as_json: bool) -> int:
    """Say which drafts you would send: of RUN, else of the newest run that has templates.

    Shows about 100 messages of your own history that the ranker was not trained on, the most confident drafts first,
    five seconds each. Your answers decide from which confidence on a draft counts as sent by you. Each is kept at once:
    stop whenever you like and go on later.

    \b
    Example:
      jarvisctl review                y (would send), n, e (edit), s (never answer this kind), u (undo), q (quit)
      jarvisctl review --templates    keep, reject or edit the templates one by one
      jarvisctl review --stats        what is known so far
    """
    from jobs.lib.reviews.session import CardSession, TemplateSession
    from jobs.verbs.review import minings

    app.need_ledger()
    app.open_ledger()
    mining = minings.chosen(run)
    if as_json or stats:
        return _known(mining, as_json)
    if by_template:
        return _templates(app, mining, TemplateSession(mining))
    return _cards(app, mining, CardSession(mining))


def _known(mining: Mining, as_json: bool) -> int:
    from jobs.lib.reviews import cards, document, verdicts
    from jobs.verbs.review import words

    deck = cards.deck(mining)
    kept = verdicts.kept()
    if as_json:
        templates = {"kept": len(kept), "rejected": len(verdicts.rejected())}
        answers = asdict(document.would_answer(deck)) if deck.turns else None
        click.echo(json.dumps({"run": deck.run, "would_answer": answers, "templates": templates}))
        return 0
    for line in words.known(deck) if deck.turns else []:
        click.echo(line)
    click.echo(f"{counted(len(kept), 'template')} kept, {len(verdicts.rejected())} rejected.")
    return 0


# ------------------------------------------------------------------------------------------------------- card by card


def _cards(app: App, mining: Mining, session: CardSession) -> int:
    from jobs.verbs.review import minings, words
    from jobs.verbs.review.asking import ask_cards

    minings.require_cards(session)
    if session.next() is None:
        for line in words.nothing_left(session):
            click.echo(line)
        return 0
    code = _interruptible(lambda: ask_cards(session))
    if session.stored:
        for line in words.known(session.deck):
            click.echo(line)
    _finish(app, mining, session.stored, "answer")
    return code


def _templates(app: App, mining: Mining, session: TemplateSession) -> int:
    from jobs.verbs.review.asking import ask_templates

    if session.next() is None:
        click.echo(f"Every one of {counted(session.total, 'template')} of {mining.run_id} has your verdict.")
        return 0
    code = _interruptible(lambda: ask_templates(session))
    _finish(app, mining, session.stored, "verdict")
    return code


def _interruptible(asking: Callable[[], None]) -> int:
    """0, or 130 where Ctrl-C ended it: what was answered is stored."""
    try:
        asking()
    except KeyboardInterrupt:
        click.echo()
        return 130
    return 0


def _finish(app: App, mining: Mining, stored: int, noun: str) -> None:
    """Write the report again, and say where it is."""
    if not stored:
        click.echo(f"No {noun} was stored.")
        return
    path = report.write_after_vote(app.home, mining.run)
    where = f"The report: {path}" if path else f"The report of {mining.run_id} will count them."
    click.echo(f"{counted(stored, noun)} stored. {where}")
