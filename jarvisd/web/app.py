"""The page's application: the login, the static files, and the routes of every room."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import peewee
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route as HttpRoute

from jarvisd import __version__, logs
from jarvisd.errors import JarvisError, LedgerError, UsageError
from jarvisd.paths import Home
from jarvisd.web import process, rendering, rooms, trouble
from jarvisd.web.keys import Keys
from jarvisd.web.ledger import Ledger
from jarvisd.web.pages import Answer, Confirm, File, GoTo, Live, Page, Request, Room, Route
from jarvisd.web.trouble import BUG, Unusable

_log = logging.getLogger("jarvisd.web")
#: Fields that a form may have.
_MOST_FIELDS = 500
_STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
#: Where a session keeps what the next page says once.
_MESSAGE = "page.message"

Handler = Callable[[HttpRequest], Awaitable[Response]]


def application(home: Home, keys: Keys) -> Starlette:
    """The application behind the gate."""
    site = _Site(home, keys)
    routes = [
        HttpRoute("/login", site.login, methods=["GET", "POST"]),
        *(HttpRoute(f"/{name}", partial(_static, name, media_type)) for name, media_type in _STATIC.items()),
        HttpRoute(f"{keys.root}/", site.first),
    ]
    for room in site.rooms:
        for route in room.routes:
            path = "/".join(filter(None, (keys.root, room.name, route.path)))
            routes.append(HttpRoute(path, site.handler(room, route), methods=[route.method]))
    return Starlette(routes=routes, exception_handlers={404: site.missing, 405: site.missing})


async def _static(name: str, media_type: str, _request: HttpRequest) -> Response:
    return Response(rendering.static(name), media_type=media_type)


class _Site:
    """What the handlers share."""

    def __init__(self, home: Home, keys: Keys) -> None:
        self.home, self.keys = home, keys
        self.ledger = Ledger(home)
        self.rooms = rooms.load()

    # ---------------------------------------------------------------------------------------------------- the login

    async def login(self, request: HttpRequest) -> Response:
        """GET: a form for a ticket. POST: begin a session.

        The answer is a page that leads on by itself: after a redirect from a file Chromium does not send the cookie.
        """
        if request.method == "GET":
            return self._plain("login.html", failed=False)
        try:
            fields = await _form(request)
        except UsageError:
            fields = {}
        to = self.keys.redeem((fields.get("ticket") or [""])[-1])
        if to is None:
            return self._plain("login.html", status=403, failed=True)
        process.entrance(self.home).unlink(missing_ok=True)
        answer = self._plain("welcome.html", to=f"{self.keys.root}/{to or self.rooms[0].name}")
        answer.headers["Set-Cookie"] = (
            f"jarvisd={self.keys.begin_session()}; Path={self.keys.root}/; HttpOnly; SameSite=Strict"
        )
        return answer

    async def first(self, _request: HttpRequest) -> Response:
        return RedirectResponse(f"{self.keys.root}/{self.rooms[0].name}", 303)

    async def missing(self, request: HttpRequest, _error: Exception) -> Response:
        return self._problem(request, "Nothing is here", "The menu leads to every page.", 404)

    def _plain(self, template: str, *, status: int = 200, **data: Any) -> Response:
        """A page outside of every room."""
        return HTMLResponse(rendering.page(rendering.TEMPLATES, template, data), status)

    # ----------------------------------------------------------------------------------------------------- the rooms

    def handler(self, room: Room, route: Route) -> Handler:
        problem = partial(self._problem, room=room, polls=route.version is not None)

        async def handle(http: HttpRequest) -> Response:
            try:
                if not self._is_open() and not route.without_database:
                    return self._first_step(http, room, route)
                if route.version is not None:
                    return await self._poll(http, route)
                return await self._answer(http, room, route)
            except JarvisError as error:
                status = 400 if isinstance(error, UsageError) else 409
                return problem(http, error.what, error.remedy, status)
            except Unusable as error:
                return problem(http, str(error), "This page goes on trying.", 503)
            except (peewee.PeeweeException, OSError) as error:
                self.ledger.close()
                return problem(http, trouble.of_database(error), "This page goes on trying.", 503)
            except Exception as error:
                _log.error("%s/%s: %s: %s", room.name, route.path, type(error).__name__, "; ".join(logs.places(error)))
                return problem(http, f"unexpected {type(error).__name__}", BUG, 500)

        return handle

    def _is_open(self) -> bool:
        """Open the database. Raises Unusable where that is impossible now."""
        try:
            return self.ledger.open()
        except LedgerError as error:
            self.ledger.close()
            raise Unusable(str(error)) from error

    async def _request(self, http: HttpRequest) -> Request:
        query = parse_qs(http.url.query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        fields: Mapping[str, list[str]] = await _form(http) if http.method == "POST" else query
        return Request(self.home, self.keys.root, http.path_params, fields, http.scope["session"])

    async def _answer(self, http: HttpRequest, room: Room, route: Route) -> Response:
        request = await self._request(http)
        answer = route.run(request)
        given: Answer = await answer if inspect.isawaitable(answer) else answer
        match given:
            case Page():
                return self._page(http, room, given)
            case Confirm():
                return self._confirm(http, room, request, given)
            case GoTo():
                http.scope["session"][_MESSAGE] = given.message
                return RedirectResponse(f"{self.keys.root}/{given.path}{given.anchor and '#'}{given.anchor}", 303)
            case Live():
                return _live(given)
            case File():
                headers = {"Content-Security-Policy": given.policy} if given.policy else {}
                return Response(given.content, media_type=given.media_type, headers=headers)

    async def _poll(self, http: HttpRequest, route: Route) -> Response:
        """304 while neither the database nor the route's own version has changed since the answer that is known."""
        request = await self._request(http)
        version = f"{self.ledger.version()} {route.version(request) if route.version else ''}"
        tag = f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"'
        if http.headers.get("if-none-match") == tag:
            return Response(status_code=304)
        answer = route.run(request)
        assert isinstance(answer, Live)  # noqa: S101 - `poll` takes no other
        response = _live(answer)
        response.headers["ETag"] = tag
        return response

    def _page(self, http: HttpRequest, room: Room | None, page: Page) -> Response:
        """A page in the frame: the menu, and what the last action has said."""
        menu = [(each.title, f"{self.keys.root}/{each.name}", each is room) for each in self.rooms if each.title]
        frame = {"root": self.keys.root, "menu": menu, "message": http.scope["session"].pop(_MESSAGE, "")}
        folder = room.templates if room is not None else rendering.TEMPLATES
        link = partial(Request.link, Request(self.home, self.keys.root, {}, {}, {}))
        data = {**frame, "link": link, "version": __version__, "live": "", "outline": "", **page.data}
        return HTMLResponse(rendering.page(folder, page.template, data), page.status)

    def _confirm(self, http: HttpRequest, room: Room, request: Request, ask: Confirm) -> Response:
        """The question as a page, or for the script, which shows it above the page, as JSON."""
        if "application/json" in http.headers.get("accept", ""):
            content = {
                "question": ask.question,
                "lines": [*ask.lines, *ask.notes],
                "button": ask.button,
                "seen": ask.seal,
            }
            return JSONResponse(rendering.cleaned(content))
        hidden = [(name, value) for name, values in request.fields.items() if name != "seen" for value in values]
        data = {"ask": ask, "hidden": hidden, "action": http.url.path, **ask.data}
        return self._page(http, room, Page(ask.template, data))

    def _first_step(self, http: HttpRequest, room: Room, route: Route) -> Response:
        """What is shown instead of every other page as long as there is no database."""
        if route.version is not None:
            remedy = "Submit a run here, or with jarvisctl enqueue."
            return self._problem(http, "Nothing was submitted yet", remedy, 200, polls=True)
        return self._page(http, room, Page("first_step.html", {}))

    def _problem(
        self, http: HttpRequest, what: str, remedy: str, status: int, room: Room | None = None, *, polls: bool = False
    ) -> Response:
        """What went wrong, and what to do. A page that is polled goes on polling."""
        what, remedy = (text.replace("`", "") for text in (what, remedy))  # they mark code on a terminal
        if polls or "application/json" in http.headers.get("accept", ""):
            return JSONResponse(rendering.cleaned({"trouble": f"{what.rstrip('.')}. {remedy}"}), status)
        data = {"what": what.rstrip("."), "remedy": remedy, "retry": http.method == "GET" and status in (200, 503)}
        return self._page(http, room, Page("problem.html", data, status))


def _live(live: Live) -> Response:
    content = {"texts": live.texts, "shares": live.shares, "disabled": live.disabled, "outline": live.outline}
    return JSONResponse(rendering.cleaned(content))


async def _form(request: HttpRequest) -> dict[str, list[str]]:
    """The fields of a form. Raises UsageError for one that is not one."""
    try:
        body = await request.body()
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise UsageError("this is not a form of this page", "Go back and try again.") from None
