"""What a room of the local page is made of. The web.py of a kind or of a verb imports this file alone of `jarvisd.web`.

A room is a menu entry with routes. A route is a function that gets a Request and returns one of the answers below:

    def cards(request: Request) -> Page:
        return render("cards.html", cards=...)

    WEB = Room(name="words", title="Words", templates=Path(__file__).parent, routes=(get("", cards),))

`registry.WEB` names the rooms of this project. Another package's kind brings one as `WEB` in its module `web`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jarvisd.errors import JarvisError
from jarvisd.operations import report
from jarvisd.paths import Home
from jarvisd.store.models import Run
from jarvisd.web.child import Child
from jarvisd.web.child import Ended as ChildEnded

__all__ = [
    "Answer",
    "Child",
    "ChildEnded",
    "Confirm",
    "File",
    "GoTo",
    "Live",
    "Page",
    "Request",
    "Room",
    "Route",
    "count_in_report",
    "get",
    "poll",
    "post",
    "render",
    "run_verb",
    "write_report",
]


@dataclass(frozen=True)
class Page:
    """A page: a template of the room's folder, or of the page's own, and its data. Everything in it is escaped."""

    template: str
    data: Mapping[str, Any]
    status: int = 200


def render(template: str, **data: Any) -> Page:
    return Page(template, data)


@dataclass(frozen=True)
class GoTo:
    """Go to another page after a POST, which shows `message` once. `path` is below the page's root: "queue"."""

    path: str
    message: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Confirm:
    """A question before something changes. The answer counts only for what was shown; see `Request.confirms`."""

    question: str
    lines: Sequence[str] = ()  #: what will change
    notes: Sequence[str] = ()  #: what may change before the answer, such as warnings
    button: str = "Yes"
    state: str = ""  #: what else must not change between question and answer, such as a hash of a file
    template: str = "confirm.html"  #: another template gets `ask`, `data` and the form's fields as `hidden`
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seal(self) -> str:
        """A digest of everything the user is asked about."""
        text = json.dumps([self.question, list(self.lines), self.state])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Live:
    """What changes on a page that is open, by ids of its elements. Nothing that can be clicked moves.

    Where `outline` differs from the one that the page was rendered with, the page offers to show its new content.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)  #: of <progress> elements, from 0 to 1
    disabled: Mapping[str, bool] = field(default_factory=dict)  #: of buttons
    outline: str = ""


@dataclass(frozen=True)
class File:
    """Content of its own type. `policy` replaces the page's Content-Security-Policy: of a report, which has its own."""

    content: bytes
    media_type: str
    policy: str | None = None


Answer = Page | GoTo | Confirm | Live | File


@dataclass(frozen=True)
class Request:
    """What a route is asked: GET changes nothing; the text of a message is never in an address, so it comes by POST."""

    home: Home
    root: str  #: the address below which everything lies: "/8f…c2"
    values: Mapping[str, str]  #: parts of the path: of "log/{job}" the job
    fields: Mapping[str, Sequence[str]]  #: of the form, or of the address behind the question mark
    session: dict[str, Any]  #: kept in memory between the requests of one login; its keys begin with the room's name

    def field(self, name: str, otherwise: str = "") -> str:
        """The last value of a field."""
        values = self.fields.get(name)
        return values[-1] if values else otherwise

    def link(self, path: str, **query: object) -> str:
        """The address of a page: link("queue", state="failed"). Values that are "" or None are left out."""
        return f"{self.root}/{self.path(path, **query)}"

    @staticmethod
    def path(path: str, **query: object) -> str:
        """The same, below the page's root: what GoTo and a form's `back` hold."""
        kept = {name: str(value) for name, value in query.items() if value not in ("", None)}
        return quote(path) + (f"?{urlencode(kept)}" if kept else "")

    def confirms(self, ask: Confirm) -> bool:
        """Whether the user has answered this very question with yes."""
        return self.field("seen") == ask.seal


@dataclass(frozen=True)
class Route:
    """A function and its address below the room's name. It may be `async`; then it must not block."""

    path: str
    run: Callable[[Request], Answer | Awaitable[Answer]]
    method: str = "GET"
    #: Of a poll: what tells, beside the database, whether its answer is still the last one.
    version: Callable[[Request], str] | None = None
    #: Whether it also works in a home in which nothing was submitted yet.
    without_database: bool = False


def get(path: str, run: Callable[[Request], Answer | Awaitable[Answer]], *, without_database: bool = False) -> Route:
    return Route(path, run, without_database=without_database)


def post(path: str, run: Callable[[Request], Answer | Awaitable[Answer]], *, without_database: bool = False) -> Route:
    return Route(path, run, "POST", without_database=without_database)


def poll(path: str, run: Callable[[Request], Live], version: Callable[[Request], str] = lambda _request: "") -> Route:
    """A route that an open page asks every two seconds. `run` is called only after a change.

    A change is one of the database, or of what `version` returns, which must be quick.
    """
    return Route(path, run, "GET", version)


@dataclass(frozen=True)
class Room:
    """A part of the page."""

    name: str  #: the first part of its addresses: a-z
    title: str  #: in the menu; "" = not in the menu
    routes: Sequence[Route]
    templates: Path  #: the folder of its templates; they extend "base.html"
    place: int = 50  #: in the menu, from left to right


async def run_verb(home: Home, *words: str) -> str:
    """Run a verb of jarvisctl in a process of its own, for work that needs much memory or time.

    Returns what it printed. Raises JarvisError with its error where it failed.
    """
    import asyncio

    program = (sys.executable, "-P", "-m", "jarvisd.cli", "--home", str(home.root))
    child = await asyncio.create_subprocess_exec(
        *program,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await child.communicate()
    if child.returncode:
        lines = errors.decode(errors="replace").strip().splitlines() or [f"jarvisctl {words[0]} failed"]
        raise JarvisError(lines[-1].removeprefix("jarvisctl: "))
    return output.decode(errors="replace")


async def write_report(home: Home, run: Run) -> None:
    """Write the report of a run from what the database holds now. Raises JarvisError where that fails."""
    await run_verb(home, "report", run.id, "--again", "--path")


async def count_in_report(home: Home, run: Run) -> str:
    """Write the report again that was written before answers of the owner; returns what became of it, in a sentence."""
    if not report.is_due(run):
        return f"The report of {run.id} will count them."
    try:
        await write_report(home, run)
    except JarvisError as error:
        return f"The report could not be written again: {error}"
    return "The report counts them."
