"""The local page's room for votes: the same questions, answers and rows as `jarvisctl vote`.

What chooses the pairs needs numerical libraries and runs in a child of the page: `sitting.py`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvisd.plugin import UsageError
from jarvisd.web.pages import Answer, Child, ChildEnded, GoTo, Page, Request, Room, count_in_report, get, post, render
from jobs.lib.results.tables import loaded_models
from jobs.verbs.vote import runs

_HANDLER = f"{__package__}.sitting:Sitting"
#: Where the login keeps its session of votes, and the names that it showed last.
_SITTING, _NAMES = "vote.sitting", "vote.names"
_ENDED = "This session has ended; its answers are kept. A new one asks about pairs that have no answer yet."
#: Other runs that are offered.
_MOST_RUNS = 10


@dataclass
class Asking:
    """A session of votes in this login; its answers are in the database."""

    child: Child
    shown: dict[str, Any]  #: the pair and how far the session is, as `sitting.py` returned them


def current(request: Request) -> Page:
    """The pair of the open session, else where one begins."""
    asking: Asking | None = request.session.get(_SITTING)
    if asking is not None and asking.child.runs:
        return render("ballot.html", **asking.shown)
    return _start(None, _ENDED if asking else "")


def of_run(request: Request) -> Page:
    return _start(request.values["run"])


def _start(name: str | None, note: str = "") -> Page:
    run = runs.run_to_vote_on(name)
    others = runs.others(run, _MOST_RUNS)
    return render("start.html", run=run, models=loaded_models(run), votes=runs.votes(run), others=others, note=note)


async def begin(request: Request) -> Answer:
    run = runs.run_to_vote_on(request.field("run") or None)
    between = [key for key in (request.field("first"), request.field("second")) if key]
    if len(between) == 1:
        raise UsageError("one model cannot be compared with itself", "Choose two models, or none for all.")
    _close(request)
    with ExitStack() as unless_begun:
        child = Child(request.home, _HANDLER)
        unless_begun.callback(child.close)
        shown = await child.ask("begin", run=run.id, between=between)
        if "nothing" in shown:
            return GoTo(f"vote/run/{run.id}", shown["nothing"])
        unless_begun.pop_all()
    request.session[_SITTING] = Asking(child, shown)
    request.session.pop(_NAMES, None)
    return GoTo("vote")


def _close(request: Request) -> Asking | None:
    """Close the session of votes of this login; returns it."""
    asking: Asking | None = request.session.pop(_SITTING, None)
    if asking is not None:
        asking.child.close()
    return asking


async def answer(request: Request) -> Answer:
    """Store an answer to the pair that is shown, or skip it."""
    return await _go_on(request, "answer", pair=request.field("pair"), choice=request.field("choice"))


async def undo(request: Request) -> Answer:
    """Take back the last answer of this session and ask again. After the names were shown there is no session."""
    return await _go_on(request, "undo")


async def _go_on(request: Request, do: str, **values: str) -> Answer:
    asking: Asking | None = request.session.get(_SITTING)
    if asking is None:
        return GoTo("vote", _ENDED)
    try:
        asking.shown = await asking.child.ask(do, **values)
    except ChildEnded:
        return await _ended(request)
    return GoTo("vote")


async def _ended(request: Request) -> GoTo:
    """The session has ended by itself: its answers are stored, its names are not shown."""
    asking = _close(request)
    if asking is None or not asking.shown["stored"]:
        return GoTo("vote", _ENDED)
    run = runs.run_to_vote_on(asking.shown["run"])
    return GoTo("vote", f"{_ENDED} {await count_in_report(request.home, run)}")


async def end(request: Request) -> Answer:
    """End the session, show the names, and write the report again."""
    asking: Asking | None = request.session.get(_SITTING)
    if asking is None:
        return GoTo("vote", _ENDED)
    if not asking.shown["stored"]:
        _close(request)
        return GoTo("vote", "No vote was stored.")
    try:
        revealed = await asking.child.ask("reveal")
    except ChildEnded:
        return await _ended(request)
    _close(request)
    run = runs.run_to_vote_on(asking.shown["run"])
    request.session[_NAMES] = revealed | {"run": run.id, "report": await count_in_report(request.home, run)}
    return GoTo("vote/names")


def names(request: Request) -> Answer:
    """The names behind the answers of the session that has just ended."""
    revealed: dict[str, Any] | None = request.session.get(_NAMES)
    return GoTo("vote") if revealed is None else render("names.html", **revealed)


WEB = Room(
    name="vote",
    title="Vote",
    place=30,
    templates=Path(__file__).parent / "templates",
    routes=(
        get("", current),
        get("run/{run}", of_run),
        get("names", names),
        post("begin", begin),
        post("answer", answer),
        post("undo", undo),
        post("end", end),
    ),
)
