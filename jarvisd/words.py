"""How numbers, durations and names are written for a person, and how a duration is read."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from jarvisd.errors import UsageError


def amount(size: int) -> str:
    """Bytes as disks and the Finder count them: 92 MB, 13.0 GB."""
    return f"{size / 1e9:.1f} GB" if size > 999_000_000 else f"{math.ceil(size / 1e6)} MB"


def rate(speed: float) -> str:
    """Bytes per second: 15 MB/s, 0.4 MB/s."""
    return f"{speed / 1e6:,.0f} MB/s" if speed >= 9.95e6 else f"{speed / 1e6:.2g} MB/s"


def lasting(seconds: float) -> str:
    """An estimate of a time that lies ahead: about 12 min, about 1.5 h. `took` is for a time that was measured."""
    if seconds < 60:
        return "less than a minute"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.1f} h"


#: Longest duration that can be given, in hours.
LONGEST_H = 366 * 24


def joined(*parts: str) -> str:
    """The parts that say something, with commas between them."""
    return ", ".join(filter(None, parts))


def counted(number: int, noun: str) -> str:
    """1 run, 2 runs, 10,000 runs."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def duration(text: str) -> dt.timedelta:
    """2h, 90m, 45s or 1h30m as a timedelta. Raises UsageError."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or parts is None:
        raise UsageError(f"{text!r} is not a duration", "Write it as 2h, 90m or 1h30m.")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    if hours + minutes / 60 + seconds / 3600 > LONGEST_H:
        raise UsageError(f"{text!r} is longer than a year", "Without --for a pause has no end of its own.")
    return dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)


def took(seconds: float) -> str:
    """A measured time in a column or a line of `status`: 75 -> 1:15, 4000 -> 1:06:40.

    The report writes measured times with units instead (jobs/report/escape.py), as prose needs them.
    """
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def lasted(seconds: float) -> str:
    """A measured time in a list that people read: 3 s, 12 min, 8 h 55 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


#: Similarity of two words, from 0 to 1, from which on one is suggested for the other.
CLOSE_ENOUGH = 0.5
#: The same where the verb ends something: the suggestion must be the same word but for a slip of a finger.
NEARLY_THE_SAME = 0.8


def closest(word: str, known: Iterable[str], cutoff: float = CLOSE_ENOUGH) -> str:
    """The known name that was probably meant, whatever its case; "" where none is as similar as `cutoff`."""
    import difflib  # late: only a mistyped name needs it

    names = {name.casefold(): name for name in sorted(set(known), reverse=True)}
    close = difflib.get_close_matches(word.casefold(), names, n=1, cutoff=cutoff)
    return names[close[0]] if close else ""


def nearest(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """A remedy for an unknown name: "Did you mean NAME?", else `otherwise`, else the list of known names."""
    names = list(dict.fromkeys(known))
    meant = closest(word, [name for name in names if name != word])
    if meant:
        return f"Did you mean {meant}?"
    return f"Known: {', '.join(names) or 'none'}." if otherwise is None else otherwise


#: Characters that end a line somewhere, and the tab. Each becomes a space.
_BREAKS = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
#: Unicode categories that `plain` drops: control, format (with changes of direction), surrogate, private use.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co"})


def plain(text: str | None) -> str:
    """Text as one line without control characters, escapes or changes of direction.

    Every log line, reason, warning and line on a terminal passes through it: their text may come from a model folder,
    a file name, or an exception of another library. Pages and files show longer texts, by `visible`.
    """
    if not text or text.isprintable():  # nearly always, and much quicker
        return text or ""
    characters = (" " if character in _BREAKS else character for character in text)
    return "".join(character for character in characters if unicodedata.category(character) not in _DROPPED)


#: Sequences that move a terminal's cursor, colour its text or name its window.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_JOINER = "\u200d"  #: holds the parts of an emoji together


def visible(text: str) -> str:
    """Text of any length on its own lines: no ANSI sequence, control or format character, or change of direction."""
    return text if text.isprintable() else "\n".join(map(_visible_line, _LINE_END.sub("\n", text).split("\n")))


def _visible_line(line: str) -> str:
    if line.isprintable():  # nearly always, and much quicker
        return line
    return "".join(filter(_is_shown, _ANSI.sub("", line)))


def _is_shown(character: str) -> bool:
    """False for control, format, surrogate, private and unassigned characters, but for a tab and a joiner."""
    return character in ("\t", _JOINER) or not unicodedata.category(character).startswith("C")


def label(job: Any) -> str:
    """A job's name, with its round from the second one on. `job` is a row of Job, or of one of its queries."""
    return plain(job.name) + (f" (round {job.round})" if job.round > 1 else "")
