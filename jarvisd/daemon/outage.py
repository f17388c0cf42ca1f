"""The server of the database is out of reach: nothing is claimed, and it is asked again after growing pauses.

A database that is a file has no outage, so none of this ever waits there.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from jarvisd.store import database
from jarvisd.words import took

_log = logging.getLogger("jarvisd.daemon.outage")

Value = TypeVar("Value")
Other = TypeVar("Other")

#: Seconds until the server is asked again, at first and at most; the pause doubles from try to try.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: Seconds between two looks whether another thread has reached the server.
_LOOK_S = 0.5


class Outage:
    """What the threads of one daemon know of the server. Its beginning and its end are one line each in jarvisd.log."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping, self._lock = stopping, threading.Lock()
        self._since: float | None = None
        self._pause_s = self._next = 0.0

    def answer(self, ask: Callable[[], Value], otherwise: Other) -> Value | Other:
        """What `ask` returns; while the server is out of reach `otherwise`, without waiting for the next try."""
        if not self.may_ask():
            return otherwise
        try:
            value = ask()
        except Exception as error:
            if not self.begins(error):
                raise
            return otherwise
        self.ends()
        return value

    def outlast(self, error: Exception) -> bool:
        """Wait until the server answers again. False at once for another error, and when the daemon stops."""
        if not self.begins(error):
            return False
        while not self._stopping.wait(self._until_next()):
            if self.answer(_ask, False):
                return True
        return False

    def may_ask(self) -> bool:
        """Whether there is no outage, or it is time for the next try."""
        return self._since is None or time.monotonic() >= self._next

    def begins(self, error: Exception) -> bool:
        """Note that the server did not answer. False, with nothing noted, for another error."""
        if not database.is_out_of_reach(error):
            return False
        with self._lock:
            at = time.monotonic()
            if self._since is None:
                self._since, self._pause_s, self._next = at, FIRST_PAUSE_S, 0.0
                _log.warning("%s; nothing is started until it answers", database.out_of_reach(error).what)
            if at >= self._next:
                self._next = at + self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return True

    def ends(self) -> None:
        """Note that the server has answered."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            _log.warning("the database answers again, after %s", took(time.monotonic() - since))

    def _until_next(self) -> float:
        return max(0.01, min(_LOOK_S, self._next - time.monotonic()))


def _ask() -> bool:
    database.db.execute_sql("SELECT 1")
    return True
