"""Who may use the page: one-time tickets, and the sessions that they begin."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

#: Seconds in which a ticket can be used.
TICKET_S = 60
#: Where a ticket may lead: a path below the page's root, without a scheme, a host or a step up.
_TARGET = re.compile(r"[a-z0-9][A-Za-z0-9._~%/-]*(\?[A-Za-z0-9._~%&=-]*)?|")


def new_ticket(secret: bytes, to: str = "") -> str:
    """A ticket that the holder of `secret` accepts once within TICKET_S, and that leads to the page `to`."""
    payload = _encode(json.dumps([secrets.token_urlsafe(32), int(time.time()) + TICKET_S, to]).encode())
    return f"{payload}.{_sign(secret, payload)}"


def _sign(secret: bytes, payload: str) -> str:
    return _encode(hmac.new(secret, payload.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Keys:
    """The keys of one page process. All of it is gone when the process ends."""

    port: int
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))  #: signs tickets
    folder: str = field(default_factory=lambda: secrets.token_urlsafe(24))  #: the random path of the cookie
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    _used: dict[str, float] = field(default_factory=dict)  #: used tickets, until they expire

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    @property
    def root(self) -> str:
        return f"/{self.folder}"

    def redeem(self, ticket: str) -> str | None:
        """Where a valid ticket leads; it is used up. None for any other."""
        payload, _, signature = ticket.partition(".")
        if not ticket.isascii() or not hmac.compare_digest(signature, _sign(self.secret, payload)):
            return None
        try:
            once, until, to = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except ValueError:
            return None
        now = time.time()
        self._used = {number: end for number, end in self._used.items() if end > now - TICKET_S}
        if once in self._used or not now < until <= now + TICKET_S:
            return None
        self._used[once] = until
        return to if _TARGET.fullmatch(to) else ""

    def begin_session(self) -> str:
        """The value of a new session's cookie."""
        token = secrets.token_urlsafe(32)
        self.sessions[token] = {}
        return token

    def session(self, cookie: str) -> dict[str, Any] | None:
        """The session of a Cookie header, or None."""
        for part in cookie.split(";"):
            name, _, value = part.strip().partition("=")
            if name == "jarvisd":
                for token, session in self.sessions.items():
                    if hmac.compare_digest(token.encode(), value.encode(errors="replace")):
                        return session
        return None
