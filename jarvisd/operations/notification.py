"""Whether the user's program of `notify` runs now: it holds a lock, so that no second one runs at the same time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jarvisd.paths import Home
from jarvisd.words import plain


def _lock_file(home: Home) -> Path:
    return home.var / "notify.lock"


@contextmanager
def alone(home: Home, program: str, run_id: str) -> Iterator[None]:
    """Hold the lock, after the end of another one's program."""
    descriptor = os.open(_lock_file(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(json.dumps({"program": program, "run": run_id}))
        lock.flush()
        yield


def line(home: Home) -> str:
    """A line for `status` while the program runs; else ""."""
    try:
        with _lock_file(home).open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = json.loads(lock.read())
                return plain(f"notify: {holder['program']} runs for {holder['run']}.")
            return ""
    except (OSError, ValueError, LookupError, TypeError):
        return ""
