"""Untrusted text made harmless: messages, replies, names of models, reasons and warnings appear as text,
always.

`clean` is applied to every such string once; then `inline` escapes it for Markdown prose and tables, a
fenced block takes it verbatim, and jinja2 escapes it for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from jarvisd.plugin import visible
from jobs.lib.models import memory

#: Characters of a single text that a page shows; a reply of 50 tokens has about 250.
MAX_CHARACTERS = 600

_BREAK = re.compile(r"\s*\n\s*")
_MARKDOWN = re.compile(r"([\\`*_\[\]])")
_LEADING = re.compile(r"^([-+#=>]|\d+[.)])(?=\s|$|[-+#=])")  # a list, a heading, a rule
_URL = re.compile(r"(?i)\b(https?|ftp|mailto|www)(:|\.)")


def clean(value: object, limit: int = MAX_CHARACTERS) -> str:
    """One line of visible text: no control characters, ANSI codes or bidi overrides; cut at `limit`."""
    text = "" if value is None else str(value)
    text = visible(text[: limit * 20])  # what is cut anyway need not be looked at
    text = _BREAK.sub(" ⏎ ", text.replace("\t", " ").strip())
    return text if len(text) <= limit else text[:limit].rstrip() + "…"


def text_lines(value: object, limit: int = 60) -> list[str]:
    """Each line of a text made harmless, at most `limit` of them."""
    lines = [clean(line, 400) for line in str(value or "").splitlines()]
    return lines if len(lines) <= limit else [*lines[:limit], f"… ({len(lines) - limit} more lines)"]


def inline(value: object, limit: int = MAX_CHARACTERS) -> str:
    """Text for Markdown prose or a cell of a table, where nothing of it is markup, a link or HTML."""
    text = clean(value, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKDOWN.sub(r"\\\1", text)
    text = _LEADING.sub(lambda match: f"{match[1][:-1]}\\{match[1][-1]}", text)
    # Many viewers make a link of a bare address; an entity inside it stops that and reads the same.
    text = _URL.sub(lambda match: match[1] + ("&#58;" if match[2] == ":" else "&#46;"), text)
    return text.translate(_ENTITIES)


#: Characters that some viewers read as markup and that no backslash escapes everywhere.
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "|~$@"}


def quoted(value: object, limit: int = MAX_CHARACTERS) -> str:
    """Text between double quotes, for a fenced block."""
    return f'"{clean(value, limit)}"'


def fenced(lines: Iterable[str]) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    body = [line.rstrip() for line in lines]
    longest = max((len(run) for line in body for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *body, fence])


def table(header: Iterable[str], rows: Iterable[Iterable[str]], right: Iterable[int] = ()) -> str:
    """A Markdown table of cells that are already escaped; columns in `right` are aligned to the right."""
    head, numeric = list(header), set(right)
    lines = [head, ["---:" if place in numeric else "---" for place in range(len(head))], *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ------------------------------------------------------------------------------------------- numbers in words

NOT_MEASURED = "not measured"


def percent(share: float | None, digits: int = 1) -> str:
    return NOT_MEASURED if share is None else f"{100 * share:.{digits}f} %"


def milliseconds(value: float | None) -> str:
    """850 ms below ten seconds, 12.3 s above."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"


def duration(seconds: float | None) -> str:
    """0.4 s, 42 s, 3 min 05 s, 2 h 10 min; begun seconds are cut off, as `jarvisctl status` does."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def megabytes(value: float | None) -> str:
    return "–" if value is None else memory.told(value)


def number(value: float | None, digits: int = 2) -> str:
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def count(value: int | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,}"
