"""The first screen of a report as text, for a terminal: what to do, the ranking, and where the whole report is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.report.first_screen.data import Card, FirstScreen, RankedModel, Tone

#: Colours a text: what, and the name of a colour or "" for bold.
Paint = Callable[[str, str], str]

COLOURS = {Tone.ACT: "green", Tone.WAIT: "yellow", Tone.FAILED: "red"}
_HEADER = ("Model", "Quality", "Seconds", "Complete", "Memory", "Against the first")
#: Columns of numbers.
_RIGHT = (1, 2, 3, 4)


def compose(screen: FirstScreen, page: Path, paint: Paint = lambda text, _: text) -> str:
    """The screen, then the file of the page; a line is as long as it needs to be."""
    head = f"{paint(screen.title, '')} · {screen.when} · {screen.jobs}" + (f" · {screen.badge}" if screen.badge else "")
    blocks = [head, *filter(None, [screen.note]), *screen.problems]
    blocks += [_card(card, number, paint) for number, card in enumerate(screen.cards, start=1)]
    blocks += [_ranking(screen.ranking, paint)] if screen.ranking else []
    return "\n\n".join([*blocks, _whole(screen, page)]) + "\n"


def _card(card: Card, number: int, paint: Paint) -> str:
    lines = [f"{number} {card.topic}: {paint(card.heading, COLOURS[card.tone])}"]
    lines += [f"  - {point.strong} {point.text}".rstrip() for point in card.points]
    lines += [f"  $ {one.text}" + (f"    # {one.about}" if one.about else "") for one in card.commands]
    return "\n".join(lines)


def _ranking(models: Sequence[RankedModel], paint: Paint) -> str:
    rows = [_HEADER, *map(_cells, models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in _RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([paint(lines[0], ""), *lines[1:]])


def _cells(model: RankedModel) -> tuple[str, ...]:
    name = model.name + (" (yours today)" if model.is_present else "")
    quality = "–" if model.value is None else f"{model.value:.2f}"
    return name, quality, model.seconds, model.complete, model.memory, model.against_first


def _whole(screen: FirstScreen, page: Path) -> str:
    replies = (
        f"The replies to {len(screen.prompts)} prompts side by side, and all else:" if screen.prompts else "All else:"
    )
    return f"{replies} {page}\n`jarvisctl report --open` opens it, `jarvisctl report --full` prints all of it here."
