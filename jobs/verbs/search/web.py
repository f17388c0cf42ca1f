"""Search in the replies and templates of every night. What is searched for comes by a form, never in an address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import peewee

from jarvisd.plugin import UsageError
from jarvisd.web.pages import Page, Request, Room, get, post, render
from jobs.lib.results.tables import Reply, Template

#: Replies and templates that are shown.
MOST = 50
#: The shortest text that is searched for.
SHORTEST = 2


def form(_request: Request) -> Page:
    return render("search.html", text="", replies=[], templates=[], most=MOST)


def search(request: Request) -> Page:
    """The newest replies, and the templates, that hold the text."""
    text = request.field("text").strip()
    if len(text) < SHORTEST:
        raise UsageError("too little to search for", f"Type at least {SHORTEST} letters.")
    return render("search.html", text=text, replies=list(_replies(text)), templates=list(_templates(text)), most=MOST)


def _replies(text: str) -> Iterator[dict[str, str]]:
    columns = (Reply.run, Reply.model, Reply.instruction, Reply.reply)
    rows = Reply.select(*columns).where(Reply.success, Reply.reply.contains(text))
    yield from rows.order_by(Reply.id.desc()).limit(MOST).dicts()


def _templates(text: str) -> Iterator[dict[str, str]]:
    """Each template once, with the newest night that has it."""
    newest = peewee.fn.MAX(Template.id)
    holding = Template.select(newest).where(Template.representative.contains(text)).group_by(Template.uuid)
    columns = (Template.run, Template.representative, Template.frequency)
    rows = Template.select(*columns).where(Template.id.in_(holding))
    yield from rows.order_by(Template.id.desc()).limit(MOST).dicts()


WEB = Room(
    name="search",
    title="Search",
    templates=Path(__file__).parent,
    place=55,
    routes=(get("", form), post("", search)),
)
