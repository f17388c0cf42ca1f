"""When the lines of a job's log were written.

A program writes into its log itself, unchanged. While it runs the daemon notes in a file beside the log how long the
log has become by when, about as often as it looks after the program. A line's time is that of the first note behind
its beginning.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


def path_of(log: Path) -> Path:
    return log.with_suffix(".times")


@dataclass
class LogTimes:
    """Notes the growth of one log. A note that cannot be written is left out: a log must not fail for it."""

    log: Path
    _size: int = 0

    def note(self) -> None:
        """Note the present size, where it differs from the last one."""
        with contextlib.suppress(OSError):
            size = self.log.stat().st_size
            if size == self._size:
                return
            self._size = size
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            with os.fdopen(os.open(path_of(self.log), flags, 0o600), "a", encoding="ascii") as notes:
                notes.write(f"{size} {dt.datetime.now(dt.UTC).isoformat(timespec='milliseconds')}\n")


@dataclass
class KnownTimes:
    """The times of one log's lines, as far as they were noted, or stand at the beginning of a line."""

    sizes: list[int] = field(default_factory=list)  #: growing
    instants: list[dt.datetime] = field(default_factory=list)

    @classmethod
    def of(cls, log: Path) -> KnownTimes:
        known = cls()
        for size, instant in _notes(path_of(log)):
            if not known.sizes or size > known.sizes[-1]:
                known.sizes.append(size)
                known.instants.append(instant)
        return known

    def at(self, offset: int, line: bytes) -> dt.datetime | None:
        """When the line that begins at `offset` was written; None where that is not known."""
        if (written := stamp_of(line)) is not None:
            return written
        place = bisect.bisect_right(self.sizes, offset)
        return self.instants[place] if place < len(self.instants) else None


def stamp_of(line: bytes) -> dt.datetime | None:
    """The instant that the line begins with, as jarvisd's own lines do."""
    with contextlib.suppress(ValueError, UnicodeDecodeError):
        instant = dt.datetime.fromisoformat(line[:25].decode("ascii"))
        return instant if instant.tzinfo is not None else None
    return None


def _notes(path: Path) -> Iterator[tuple[int, dt.datetime]]:
    """The notes in their order. One that was cut off or damaged is left out."""
    try:
        lines = path.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            size, instant = line.split(" ")
            yield int(size), dt.datetime.fromisoformat(instant)
