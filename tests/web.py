"""The local page without a browser: requests to its application, as a browser that is logged in would send them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from jarvisd.paths import Home
from jarvisd.web.app import application
from jarvisd.web.gate import Gate
from jarvisd.web.keys import Keys


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Browser:
    """Sends requests to the application of a home, through the gate."""

    home: Home
    keys: Keys = field(default_factory=lambda: Keys(port=4711))
    touched: int = 0  #: requests that the gate let pass

    def __post_init__(self) -> None:
        self.gate = Gate(application(self.home, self.keys), self.keys, self._touch)
        self.cookie = f"jarvisd={self.keys.begin_session()}"

    def _touch(self) -> None:
        self.touched += 1

    def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        """GET of a path below the page's root, or with a slash in front of the whole path."""
        return self.send("GET", path, b"", {"sec-fetch-site": "same-origin"} | (headers or {}))

    def post(self, path: str, fields: dict[str, str], headers: dict[str, str] | None = None) -> Reply:
        own = {"origin": self.keys.origin, "sec-fetch-site": "same-origin"}
        return self.send("POST", path, urlencode(fields).encode(), own | (headers or {}))

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """One request. A header that is given as "" is left out."""
        address, _, query = (path if path.startswith("/") else f"{self.keys.root}/{path}").partition("?")
        everything = {"host": self.keys.host, "cookie": self.cookie} | headers
        scope = {
            "type": "http",
            "method": method,
            "path": address,
            "raw_path": address.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", self.keys.port),
            "headers": [(name.encode(), value.encode()) for name, value in everything.items() if value],
        }
        return asyncio.run(_reply(self.gate, scope, body))


async def _reply(gate: Gate, scope: dict[str, Any], body: bytes) -> Reply:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await gate(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode(errors="replace")
    return Reply(sent[0]["status"], headers, text)
