"""The gate in front of every route. What it refuses reaches no other code of the page.

Threats: any website in the same browser, another port or account of this computer, and text that strangers have sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jarvisd.web.keys import Keys

#: Bytes that a form may have.
LARGEST_BODY = 256 * 1024
#: Addresses that need no session: the login, the stylesheet and the script.
OPEN_PATHS = ("/login", "/page.css", "/page.js", "/icon.svg")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers send `Origin: null` with every form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Refusal:
    status: int
    reason: str


_TOO_LARGE = Refusal(413, "The form is too large.")


def refusal(keys: Keys, method: str, path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
    """Why a request is refused; None where it may pass. `headers`: all values of each, by names in lower case."""
    for rule in (_host, _method, _length, _origin, _session):
        if (refused := rule(keys, method, path, headers)) is not None:
            return refused
    return None


def _only(headers: Mapping[str, list[str]], name: str) -> str | None:
    """The value of a header that is there exactly once."""
    values = headers.get(name, [])
    return values[0] if len(values) == 1 else None


def _host(keys: Keys, _method: str, _path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
    """A name that an attacker's DNS points to 127.0.0.1 is another host. Compared whole: 127.0.0.1.evil.com is one."""
    return None if _only(headers, "host") == keys.host else Refusal(421, "This page has another address.")


def _method(_keys: Keys, method: str, _path: str, _headers: Mapping[str, list[str]]) -> Refusal | None:
    return None if method in ("GET", "POST") else Refusal(405, "GET and POST are the only methods here.")


def _length(_keys: Keys, _method: str, _path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
    length = _only(headers, "content-length") or "0"
    fits = length.isdecimal() and int(length[:12]) <= LARGEST_BODY
    return None if fits else _TOO_LARGE


def _origin(keys: Keys, method: str, path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
    """Another port of 127.0.0.1 is the same site, so its requests carry the cookie: the origin decides."""
    origin, site = _only(headers, "origin"), _only(headers, "sec-fetch-site")
    if method == "POST" and path == "/login":  # from the file of `jarvisctl open`; the ticket is the proof
        allowed = origin in ("null", keys.origin)
    elif method == "POST":
        allowed = origin == keys.origin and site == "same-origin"
    else:
        allowed = site in ("same-origin", "none")
    if allowed:
        return None
    if site is None and method == "GET":
        return Refusal(403, "This browser does not say where a request comes from. Use a current one.")
    return Refusal(403, "This request came from another page. Open it with `jarvisctl open`.")


def _session(keys: Keys, _method: str, path: str, headers: Mapping[str, list[str]]) -> Refusal | None:
    if path in OPEN_PATHS:
        return None
    inside = path.startswith(f"{keys.root}/") and keys.session(_only(headers, "cookie") or "") is not None
    return None if inside else Refusal(403, "You are not logged in here. `jarvisctl open` logs in.")


class Gate:
    """The ASGI application in front of the page's own. `touch` is called for each request that passes."""

    def __init__(self, app: ASGIApp, keys: Keys, touch: Callable[[], None]) -> None:
        self.app, self.keys, self.touch = app, keys, touch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # a web socket is never accepted
        headers: dict[str, list[str]] = {}
        for name, value in Headers(scope=scope).items():
            headers.setdefault(name, []).append(value)
        refused = refusal(self.keys, scope["method"], scope["path"], headers)
        body = await _body(receive) if refused is None and scope["method"] == "POST" else b""
        if body is None:
            refused = _TOO_LARGE
        app: ASGIApp = self.app
        if refused is None:
            self.touch()
            scope["session"] = self.keys.session(_only(headers, "cookie") or "")
        else:
            app = Response(f"{refused.reason}\n", refused.status, media_type="text/plain")
        await app(scope, _Received(body or b"", receive), partial(_send_private, send))


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where it breaks off or is larger than it may be, whatever its headers said."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY or message["type"] == "http.disconnect":
            return None
        if not message.get("more_body"):
            return body


class _Received:
    """Gives the application a body that has been received."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body, self.receive, self.given = body, receive, False

    async def __call__(self) -> Message:
        if self.given:
            return await self.receive()
        self.given = True
        return {"type": "http.request", "body": self.body, "more_body": False}


async def _send_private(send: Send, message: Message) -> None:
    """Add the headers of HEADERS to every answer; a policy of its own stays."""
    if message["type"] == "http.response.start":
        headers = MutableHeaders(raw=message["headers"])
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
    await send(message)
