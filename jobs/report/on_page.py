"""The first screen of report.html, to be shown in a page of another style."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FORMATS = Path(__file__).parent / "formats"
#: Where page.html and first_screen.html begin and end their parts. No text of a message holds them: it is escaped.
_BEGIN, _CARDS_END, _END = "<!-- first screen -->", "<!-- end of the cards -->", "<!-- end of the first screen -->"
_ANCHOR = re.compile(r'href="#([a-z0-9-]+)"')


@dataclass(frozen=True)
class FirstScreen:
    """HTML of a report's first screen; every text in it was escaped when the report was written."""

    cards: str  #: what the run is, and a card for each decision
    rest: str  #: the ranking, and where the replies differ


def first_screen(page: str, whole: str) -> FirstScreen | None:
    """The first screen of report.html; None in one of an earlier version.

    Links to parts that are not on it lead to the address `whole`.
    """
    begin, middle, end = (page.find(mark) for mark in (_BEGIN, _CARDS_END, _END))
    if not 0 <= begin < middle < end:
        return None
    inside = page[begin:end]

    def link(match: re.Match[str]) -> str:
        return match[0] if f'id="{match[1]}"' in inside else f'href="{whole}#{match[1]}"'

    parts = (page[begin + len(_BEGIN) : middle], page[middle + len(_CARDS_END) : end])
    return FirstScreen(*(_ANCHOR.sub(link, part) for part in parts))


def style() -> bytes:
    """The report's style for its first screen alone: what surrounds it has a style of its own."""
    return b".first-screen {\n" + _read("first_screen.css", "page.css") + b"\n}\n"


def script() -> bytes:
    return _read("first_screen.js", "page.js")


def _read(*names: str) -> bytes:
    return b"\n".join((_FORMATS / name).read_bytes() for name in names)
