"""Tables of plain text: the same columns on a terminal, with colours and folded to its width, and in a pipe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from jarvisd.operations.status_page import Page, Row

COLOURS = {
    "running": "green",
    "succeeded": "green",
    "finished": "green",
    "queued": "yellow",
    "failed": "red",
    "cancelled": "red",
    "skipped": "magenta",
    "stopped": "magenta",
}
_HEADINGS = ("Id", "Run", "Job", "State")
#: Characters of a progress bar, of a long name, and of the last column before it moves to a line of its own.
_BAR, _LONGEST, _LEAST = 16, 44, 24


@dataclass(frozen=True)
class Screen:
    """What is printed on."""

    width: int | None  #: in characters; None: as wide as needed
    colour: bool
    bar: str = "█░"  #: a full and an empty part of a bar

    @classmethod
    def of_stdout(cls) -> Screen:
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        bar = "█░" if "utf" in encoding else "#-"
        if not sys.stdout.isatty():
            return cls(None, False, bar)
        colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(terminal_width(), colour, bar)

    def paint(self, text: str, **style: object) -> str:
        return click.style(text, **style) if self.colour else text  # type: ignore[arg-type]


def terminal_width() -> int:
    import shutil

    return max(40, shutil.get_terminal_size().columns)


def page_lines(page: Page, screen: Screen) -> list[str]:
    """The page as lines, each no wider than the screen."""
    lines = [text for line in page.summaries for text in _fold(line, screen.width, "  ")]
    if page.rows:
        lines += ["", *_table(page.rows, screen)]
    for line in page.below:
        yellow = "warning" in line
        lines += [
            screen.paint(text, fg="yellow") if yellow else text for text in _fold(f"  {line}", screen.width, "    ")
        ]
    return lines


def _table(rows: list[Row], screen: Screen) -> list[str]:
    """The rows below a header. A narrow screen shows no run, and shortens the names."""
    cells = [[f"{row.job_id:>5}", row.run_id, cut(row.name, _LONGEST), str(row.state)] for row in rows]
    table = [[f"{_HEADINGS[0]:>5}", *_HEADINGS[1:]], *cells]
    if screen.width is not None and _width(table) > screen.width:
        table = [[line[0], *line[2:]] for line in table]
        room = screen.width - _width(table) + max(len(line[1]) for line in table)
        table = [[line[0], cut(line[1], max(8, room)), line[2]] for line in table]
    widths = _widths(table)
    header, *texts = ["  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)) for line in table]
    lines = [screen.paint(header.rstrip(), dim=True)]
    for row, text in zip(rows, texts, strict=True):
        facts = f"{bar(row.share, screen)}  {row.told}" if row.share is not None else row.told
        lines += _with_facts(text, facts, str(row.state), screen)
    return lines


def _widths(table: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def _width(table: list[list[str]]) -> int:
    widths = _widths(table)
    return sum(widths) + 2 * (len(widths) - 1)


def _with_facts(line: str, facts: str, state: str, screen: Screen) -> list[str]:
    """The row, with its last column folded beside it, or below it where too little room is left."""
    start = line.rstrip()
    head = start[: len(start) - len(state)] + screen.paint(state, fg=COLOURS[state]) + line[len(start) :]
    if screen.width is None or len(line) + 2 + len(facts) <= screen.width:
        return [f"{head}  {facts}".rstrip() if facts else head.rstrip()]
    room = screen.width - len(line) - 2
    if room >= _LEAST:
        first, *others = _fold(facts, room, "")
        return [f"{head}  {first}", *(f"{'':{len(line) + 2}}{text}" for text in others)]
    return [head.rstrip(), *_fold(f"{'':7}{facts}", screen.width, f"{'':7}")]


def bar(share: float, screen: Screen) -> str:
    """A bar of fixed width."""
    full, empty = screen.bar[0], screen.bar[1]
    filled = round(share * _BAR)
    return full * filled + empty * (_BAR - filled)


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _fold(text: str, width: int | None, indent: str) -> list[str]:
    """The text in lines of that width. A word that is longer than a line is broken."""
    if width is None or len(text) <= width:
        return [text]
    lines, line = [], re.match(r" *", text).group()  # type: ignore[union-attr]
    for word in text.split():
        if line.strip() and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = indent
        line += word if not line.strip() else f" {word}"
        while len(line) > width:
            lines.append(line[:width])
            line = indent + line[width:]
    return [*lines, line]


def columns(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    screen: Screen,
    *,
    painted: int | None = None,
    colours: Sequence[str | None] = (),
) -> list[str]:
    """A table with a header; on a terminal its lines are cut to the width. `painted`: the column that has a colour."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    lines = [screen.paint(_padded(headings, widths, screen), dim=True)]
    for number, row in enumerate(rows):
        line = _padded(row, widths, screen)
        if painted is not None and colours[number]:
            start = sum(widths[:painted]) + 2 * painted
            end = start + len(row[painted])
            line = line[:start] + screen.paint(line[start:end], fg=colours[number]) + line[end:]
        lines.append(line)
    return lines


def _padded(row: Sequence[str], widths: Sequence[int], screen: Screen) -> str:
    line = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
    return line if screen.width is None else cut(line, screen.width)
