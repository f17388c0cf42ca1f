"""Logs as the page shows them: the last lines, and one part of a long one. A log is a file, or its bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

#: Bytes that are read for the last lines, and bytes of one part.
_TAIL_BYTES, PART_BYTES = 8_000, 64 * 1024
#: Bytes in which the end of a line is looked for, for a part to end there.
_LONGEST_LINE = 4096


def size(path: Path | bytes | None) -> int:
    """Bytes of a log; 0 where there is none."""
    if isinstance(path, bytes):
        return len(path)
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0


def tail(path: Path | bytes | None, lines: int) -> str:
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


def part(path: Path | bytes, number: int | None) -> Part:
    """The part with that number, the last one if not given. It ends with a line where one ends soon after it."""
    parts = max(1, -(-size(path) // PART_BYTES))
    chosen = parts if number is None else min(max(1, number), parts)
    if not size(path):
        return Part("", chosen, parts, 0)
    with _opened(path) as log:
        start, end = (_after_line(log, edge * PART_BYTES) for edge in (chosen - 1, chosen))
    return Part(_read(path, start, end), chosen, parts, size(path))


def _after_line(log: IO[bytes], place: int) -> int:
    """Where the line ends that holds the byte before `place`; `place` where that is far away."""
    if place == 0:
        return 0
    log.seek(place - 1)
    return place + max(0, log.read(_LONGEST_LINE).find(b"\n"))


def _opened(path: Path | bytes) -> IO[bytes]:
    return io.BytesIO(path) if isinstance(path, bytes) else path.open("rb")


def _read(path: Path | bytes, start: int, end: int) -> str:
    """Text between two places. A carriage return overwrites its line, as on a terminal."""
    with _opened(path) as log:
        log.seek(start)
        text = log.read(end - start).decode(errors="replace").replace("\r\n", "\n")
    return "\n".join(line.rpartition("\r")[2] for line in text.split("\n"))
