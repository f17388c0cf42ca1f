"""A sign of life while a step of the preparation takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]
#: Seconds without a line after which the last one is said again.
SILENCE_S = 15.0


class _Heartbeat:
    def __init__(self, say: Say, silence_s: float) -> None:
        self._say, self._silence_s = say, silence_s
        self._line = ""
        self._news, self._ended = threading.Event(), False

    def say(self, line: str) -> None:
        self._line = line
        self._news.set()
        self._say(line)

    def end(self) -> None:
        self._ended = True
        self._news.set()

    def beat(self) -> None:
        """Say the last line again whenever nothing else came for a while."""
        while not self._ended:
            if self._news.wait(self._silence_s):
                self._news.clear()  # after the wait: an end that comes before it is seen by the condition above
            elif self._line:
                self._say(f"… still {self._line}")


@contextmanager
def beating(say: Say, silence_s: float = SILENCE_S) -> Iterator[Say]:
    """Yields a `say` whose last line is said again after every `silence_s` seconds without another."""
    heartbeat = _Heartbeat(say, silence_s)
    thread = threading.Thread(target=heartbeat.beat, daemon=True)
    thread.start()
    try:
        yield heartbeat.say
    finally:
        heartbeat.end()
        thread.join()
