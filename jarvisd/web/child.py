"""A process of a room's own, for libraries that the page does not load. Imports no web framework.

The page asks it over a pipe, one JSON line per request and answer, so that no text of a message is in a command line or
a log. It ends when the page or the room closes the pipe, and after IDLE_MINUTES without a request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import IO, Any

from jarvisd.errors import JarvisError, UsageError
from jarvisd.paths import Home
from jarvisd.web.trouble import BUG, Unusable

#: Seconds that an answer may take.
LONGEST_S = 60.0
#: Seconds that a child may take to end once its pipe is closed.
_END_S = 2.0
_CHUNK = 1 << 16
#: Small matrices need one thread; each further one takes memory.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_log = logging.getLogger("jarvisd.web")
_open: weakref.WeakSet[Child] = weakref.WeakSet()


class Ended(JarvisError):
    """The child has ended before it answered."""


class Child:
    """A child that runs until `close`; `handler` is the dotted name of what `child_process.py` calls."""

    def __init__(self, home: Home, handler: str) -> None:
        self.handler = handler
        words = [sys.executable, "-P", "-m", "jarvisd.web.child_process", "--home", str(home.root), handler]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a traceback may quote a message
            env=os.environ | _ENVIRONMENT,
        )
        self._turn = threading.Lock()
        self._finalizer = weakref.finalize(self, _end, self._process)
        _open.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    async def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """The answer of the handler's method `do`. The page answers other requests in the meantime.

        Raises Ended where there is none; JarvisError as the handler raised it; Unusable where the database cannot be
        used now.
        """
        line = json.dumps({"do": do} | values).encode("ascii") + b"\n"
        answer: dict[str, Any] = json.loads(await asyncio.to_thread(self._exchange, line))
        if "unusable" in answer:
            raise Unusable(answer["unusable"])
        if "bug" in answer:
            _log.error("%s: %s: %s", self.handler, answer["bug"], answer["places"])
            raise JarvisError(f"unexpected {answer['bug']}", BUG)
        if "error" in answer:
            raise (UsageError if answer["is_usage"] else JarvisError)(answer["error"], answer["remedy"])
        return answer

    def close(self) -> None:
        """End it. What it has stored stays."""
        self._finalizer()

    def kill(self) -> None:
        """End it in the middle of an answer."""
        self._process.kill()

    def _exchange(self, line: bytes) -> bytes:
        """One request and its answer, each a line; two requests at once take turns."""
        with self._turn:
            try:
                self._pipes[0].write(line)
                self._pipes[0].flush()
                return self._line()
            except (OSError, ValueError):  # ValueError: the pipe was closed while this request waited for its turn
                raise self._ended() from None

    def _line(self) -> bytes:
        end, line = time.monotonic() + LONGEST_S, b""
        pipe = self._pipes[1].fileno()
        while not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                self._process.kill()
                raise self._ended()
            if not (chunk := os.read(pipe, _CHUNK)):
                raise self._ended()
            line += chunk
        return line

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        return _pipes(self._process)

    def _ended(self) -> Ended:
        """The exit status 0 is that of a child that was idle for too long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        if self._process.returncode != 0:
            _log.error("the process of %s ended with status %s", self.handler, self._process.returncode)
        return Ended("the process behind this page has ended", "Begin again.")


def close_all() -> None:
    """End every child, also one that is computing: the page ends."""
    for child in list(_open):
        child.kill()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Where requests are written, and where answers are read."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both were asked for
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in _pipes(process):
        with suppress(OSError):
            pipe.close()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
