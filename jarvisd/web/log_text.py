"""Logs as the page shows them: the last lines of a file, and one part of a long one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jarvisd.web.rendering import clean

#: Bytes that are read for the last lines, and bytes of one part.
_TAIL_BYTES, PART_BYTES = 8_000, 64 * 1024


def size(path: Path | None) -> int:
    """Bytes of a log; 0 where there is none."""
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0


def tail(path: Path | None, lines: int) -> str:
    """The last lines; "" where there is no log."""
    end = size(path)
    if path is None or not end:
        return ""
    return "\n".join(_read(path, max(0, end - _TAIL_BYTES), end).splitlines()[-lines:])


@dataclass(frozen=True)
class Part:
    """A part of a log."""

    text: str
    number: int  #: from 1
    of: int
    size: int  #: bytes of the whole log


def part(path: Path, number: int | None) -> Part:
    """The part with that number, the last one if not given. Parts begin and end at a line where one is near."""
    end = size(path)
    parts = max(1, -(-end // PART_BYTES))
    chosen = parts if number is None else min(max(1, number), parts)
    start = (chosen - 1) * PART_BYTES
    return Part(_read(path, start, min(end, start + PART_BYTES)) if end else "", chosen, parts, end)


def _read(path: Path, start: int, end: int) -> str:
    """Cleaned text between two places. A carriage return overwrites its line, as on a terminal."""
    with path.open("rb") as log:
        log.seek(start, os.SEEK_SET)
        text = log.read(end - start).decode(errors="replace").replace("\r\n", "\n")
    return "\n".join(clean(line.rpartition("\r")[2]) for line in text.split("\n"))
