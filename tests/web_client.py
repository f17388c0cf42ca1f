"""A client of the local page that runs: over its socket, logged in by a ticket, without a browser."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlencode

from jarvisd.paths import Home
from jarvisd.web import process


@dataclass
class Client:
    """A browser that is logged in, without the browser."""

    page: process.Running
    root: str
    cookie: str

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays open, as a browser's does."""
        return http.client.HTTPConnection("127.0.0.1", self.page.port)

    def get(self, path: str, tag: str = "") -> tuple[int, str, bytes]:
        """Status, ETag and body, over a connection of its own."""
        connection = self.connect()
        try:
            return self.ask(connection, path, tag)
        finally:
            connection.close()

    def ask(self, connection: http.client.HTTPConnection, path: str, tag: str = "") -> tuple[int, str, bytes]:
        """The same over an open connection."""
        headers = {"Cookie": self.cookie, "Sec-Fetch-Site": "same-origin"} | ({"If-None-Match": tag} if tag else {})
        connection.request("GET", f"{self.root}/{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("ETag") or "", answer.read()

    def post(self, path: str, fields: dict[str, str]) -> int:
        """Send a form; returns the status."""
        own = {"Origin": f"http://127.0.0.1:{self.page.port}", "Sec-Fetch-Site": "same-origin", "Cookie": self.cookie}
        connection = self.connect()
        try:
            connection.request("POST", f"{self.root}/{path}", urlencode(fields), own)
            return connection.getresponse().status
        finally:
            connection.close()

    def text(self, path: str) -> str:
        """A page that is there."""
        code, _tag, content = self.get(path)
        assert code == 200, (code, content)
        return content.decode()


def log_in(home: Home, page: process.Running) -> Client:
    """Use a ticket, as the file of `jarvisctl open` does."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port)
    body = urlencode({"ticket": process.ticket(home, "")})
    connection.request("POST", "/login", body, {"Origin": "null", "Content-Type": "application/x-www-form-urlencoded"})
    cookie = connection.getresponse().getheader("Set-Cookie") or ""
    connection.close()
    token, path = (part.strip() for part in cookie.split(";")[:2])
    return Client(page, path.removeprefix("Path=").rstrip("/"), token)
