"""The local page's room for votes: the same questions, answers and rows as `jarvisctl vote`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jarvisd.plugin import UsageError
from jarvisd.web.pages import Answer, GoTo, Page, Request, Room, count_in_report, get, post, render
from jarvisd.words import counted
from jobs.lib.results.tables import loaded_models

if TYPE_CHECKING:
    from jobs.verbs.vote.opening import Opened
    from jobs.verbs.vote.session import Comparison

#: Where the login keeps its session of votes, and the names that it showed last.
_SITTING, _NAMES = "vote.sitting", "vote.names"
_ENDED = "This session has ended. A new one asks about pairs that have no answer yet."
#: Other runs that are offered.
_MOST_RUNS = 10


@dataclass
class Sitting:
    """A session of votes in this login; its answers are in the database."""

    opened: Opened
    ballot: Comparison | None  #: the pair that is shown; None where none is left
    note: str = ""  #: how far it is
    ends: bool = False  #: the end was proposed

    @property
    def pair(self) -> str:
        """Names the ballot in a form, so that an answer to an older one is not taken for it."""
        return f"{self.ballot.left.id}-{self.ballot.right.id}" if self.ballot else ""

    def go_on(self, note: str, ballot: Comparison | None = None) -> GoTo:
        """Show the next pair, or `ballot`."""
        self.note, self.ballot = note, ballot or self.opened.session.next()
        return GoTo("vote")


def current(request: Request) -> Page:
    """The pair of the open session, else where one begins."""
    sitting: Sitting | None = request.session.get(_SITTING)
    return _start(None) if sitting is None else _ballot(sitting)


def of_run(request: Request) -> Page:
    return _start(request.values["run"])


def _start(name: str | None) -> Page:
    from jobs.verbs.vote import runs

    run = runs.run_to_vote_on(name)
    models = loaded_models(run)
    return render("start.html", run=run, models=models, votes=runs.votes(run), others=runs.others(run, _MOST_RUNS))


def _ballot(sitting: Sitting) -> Page:
    from jobs.lib.comparison.preference import MOST_VOTES
    from jobs.verbs.vote.words import shown

    session, ballot = sitting.opened.session, sitting.ballot
    return render(
        "ballot.html",
        pair=sitting.pair,
        ballot=ballot,
        context=shown(ballot.context, "\n") if ballot else "",
        number=session.stored + 1,
        most=MOST_VOTES,
        note=sitting.note,
        ends=sitting.ends,
        stored=session.stored,
        run=sitting.opened.run,
    )


def begin(request: Request) -> Answer:
    from jobs.verbs.vote import opening, runs, words

    run = runs.run_to_vote_on(request.field("run") or None)
    between = [key for key in (request.field("first"), request.field("second")) if key]
    if len(between) == 1:
        raise UsageError("one model cannot be compared with itself", "Choose two models, or none for all.")
    opened = opening.opened(run, between, partial(words.shown, line_end="\n"))
    if not opened.session.remaining:
        return GoTo(f"vote/run/{run.id}", opened.why_nothing)
    sitting = request.session[_SITTING] = Sitting(opened, None)
    request.session.pop(_NAMES, None)
    return sitting.go_on(words.before(opened.session))


def answer(request: Request) -> Answer:
    """Store an answer to the pair that is shown, or skip it."""
    from jobs.verbs.vote import session as votes
    from jobs.verbs.vote import words

    sitting: Sitting | None = request.session.get(_SITTING)
    if sitting is None:
        return GoTo("vote", _ENDED)
    if sitting.ballot is None or request.field("pair") != sitting.pair:
        return sitting.go_on("That pair was answered before. This is the next one.", sitting.ballot)
    session, choice = sitting.opened.session, request.field("choice")
    if choice == "skip":
        session.skip(sitting.ballot)
        return sitting.go_on(sitting.note)
    if choice not in votes.CHOICES:
        raise UsageError(f"{choice!r} is no answer to a pair", "Go back and use one of its buttons.")
    if not session.answer(sitting.ballot, choice):
        return sitting.go_on(words.NOT_STORED)
    sitting.ends = sitting.ends or session.answers_left == 0
    return sitting.go_on(words.after_answer(session, "press “Show the names”"))


def undo(request: Request) -> Answer:
    """Take back the last answer of this session and ask again. After the names were shown there is no session."""
    sitting: Sitting | None = request.session.get(_SITTING)
    if sitting is None:
        return GoTo("vote", _ENDED)
    last = sitting.opened.session.undo()
    note = "Taken back." if last else "There is no answer of this session to take back."
    return sitting.go_on(note, last or sitting.ballot)


async def end(request: Request) -> Answer:
    """End the session, show the names, and write the report again."""
    sitting: Sitting | None = request.session.pop(_SITTING, None)
    if sitting is None:
        return GoTo("vote", _ENDED)
    opened = sitting.opened
    if not opened.session.stored:
        return GoTo("vote", "No vote was stored.")
    names = request.session[_NAMES] = _revealed(opened)
    names["report"] = await count_in_report(request.home, opened.run)
    return GoTo("vote/names")


def _revealed(opened: Opened) -> dict[str, object]:
    """What is shown once the names may be known."""
    from jobs.verbs.vote import words

    after, session = opened.now(), opened.session
    rows = [
        (ballot, choice, *(words.name(after, side.model) for side in (ballot.left, ballot.right)))
        for ballot, choice in session.given
    ]
    return {
        "run": opened.run.id,
        "stored": f"{counted(session.stored, 'vote')} stored, {after.document.votes.by_owner} in all.",
        "change": words.change(opened.before, after),
        "habits": words.habits(session),
        "standing": words.standing(after),
        "rows": rows,
    }


def names(request: Request) -> Answer:
    """The names behind the answers of the session that has just ended."""
    revealed: dict[str, object] | None = request.session.get(_NAMES)
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
