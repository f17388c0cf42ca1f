"""Files that a process holds locked for as long as it runs; what they hold tells who it is, as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO, Any

from jarvisd.paths import Home

_POLL_S = 0.02


def opened(path: Path) -> IO[str]:
    """The file, made where it is missing, for its owner alone."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")


def take(lock: IO[str], *, wait: bool = False) -> bool:
    """Take the lock, or return False. A program that asks for its holder has it for an instant, so try a few times."""
    for _ in range(10):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            time.sleep(0.03)
    return False


def write(lock: IO[str], content: dict[str, Any]) -> None:
    """Say who holds it."""
    lock.truncate(0)
    lock.write(json.dumps(content))
    lock.flush()


def owns(path: Path, lock: IO[str]) -> bool:
    """Whether the held lock is still the file of that name: its folder may have been removed or replaced."""
    try:
        held, current = os.fstat(lock.fileno()), path.stat()
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (current.st_dev, current.st_ino)


def holder(path: Path, patience_s: float = 0.1) -> dict[str, Any] | None:
    """What the process that holds the file wrote into it; None where none does.

    It may be about to write it: {} where there is nothing to be read after `patience_s`.
    """
    try:
        with path.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _content(lock, time.monotonic() + patience_s)
            return None
    except (FileNotFoundError, PermissionError):
        return None


def _content(lock: IO[str], end: float) -> dict[str, Any]:
    while True:
        lock.seek(0)
        try:
            content = json.loads(lock.read())
        except ValueError:
            content = None
        if isinstance(content, dict) or time.monotonic() > end:
            return content if isinstance(content, dict) else {}
        time.sleep(_POLL_S)


def lock_holder(home: Home) -> dict[str, object] | None:
    """The daemon that holds the lock of a home: "pid", "since" and "version"; None when none runs."""
    held = holder(home.lock)
    if held is None:
        return None
    try:
        return {"pid": int(held["pid"]), "since": str(held["since"]), "version": str(held["version"])}
    except (ValueError, LookupError, TypeError):
        return {"pid": None, "since": "an unknown time", "version": None}
