"""A screen of the local page. It is imported when the page starts: import what is heavy inside the functions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from jarvisd.web.pages import Page, Request, Room, get, render
from wordcount import Counted

#: Words in the list.
MOST = 20


def words(_request: Request) -> Page:
    """The most frequent words of everything that was counted. A GET changes nothing; the database is open."""
    counts: Counter[str] = Counter()
    for row in Counted.select() if Counted.table_exists() else ():
        counts.update(row.words)
    return render("words.html", words=counts.most_common(MOST), total=counts.total())


WEB = Room(name="wordcount", title="Words", templates=Path(__file__).parent, place=70, routes=(get("", words),))
