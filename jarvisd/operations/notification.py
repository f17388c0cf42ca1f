"""Whether the user's program of `notify` runs now: it holds a lock, so that no second one runs at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jarvisd.host import lockfile
from jarvisd.paths import Home
from jarvisd.words import plain


def _lock_file(home: Home) -> Path:
    return home.var / "notify.lock"


@contextmanager
def alone(home: Home, program: str, run_id: str) -> Iterator[None]:
    """Hold the lock, after the end of another one's program."""
    with lockfile.opened(_lock_file(home)) as lock:
        lockfile.take(lock, wait=True)
        lockfile.write(lock, {"program": program, "run": run_id})
        yield


def line(home: Home) -> str:
    """A line for `status` while the program runs; else ""."""
    try:
        held = lockfile.holder(_lock_file(home), patience_s=0)
        return plain(f"notify: {held['program']} runs for {held['run']}.") if held else ""
    except (OSError, LookupError):
        return ""
