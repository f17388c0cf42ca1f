"""Turns of the owner's own history for the models to answer, and the instant that parts them from what is known.

The cut: of the answered turns of direct chats, in the order in which they came in, the last fifth begins with one
turn, and its first message is the instant. A turn may be asked when all of it lies at or after the cut; what
describes the owner's style uses messages before it. A turn that the cut falls into is in neither, so nothing a model
is measured with was seen by what measures it.

Asked are turns that a person could answer without knowing more: typed text on both sides, short, without links, each
pair once. They are taken from one person after another, within a person in the order of a hash of the row, so that
any number of them from the first on is balanced and the choice is the same in every run on the same history.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from jobs.lib import imessage
from jobs.lib.imessage import Turn

#: Share of the answered turns that lies after the cut.
HELD_OUT = 0.2
MOST_TURNS = 400
MAX_INCOMING_WORDS, MAX_ANSWER_WORDS = 60, 30
_MAX_CHARACTERS = 1000  # of either side: 30 words may be 30 pages
_LINK = re.compile(r"https?://|\bwww\.|\b[\w-]+\.(?:com|org|net|io|gov|edu)\b|\b[\w-]+\.[a-z]{2,6}/", re.IGNORECASE)


def instant(turns: Sequence[Turn]) -> dt.datetime | None:
    """The cut for these turns, which are in order; None where none was answered in a direct chat."""
    answered = [turn for turn in turns if turn.reply and not turn.incoming[0].is_group]
    return answered[round(len(answered) * (1 - HELD_OUT))].incoming[0].when if len(answered) > 1 else None


def is_usable(turn: Turn, at: dt.datetime) -> bool:
    """Whether a model may be asked to answer this turn."""
    return turn.incoming[0].when >= at and is_plain(turn)


def is_plain(turn: Turn) -> bool:
    """Whether a person could answer it without knowing more."""
    if not turn.reply or turn.incoming[0].is_group:
        return False
    sides = ((turn.text, MAX_INCOMING_WORDS), (answer(turn), MAX_ANSWER_WORDS))
    return all(
        1 <= len(text.split()) <= most and len(text) <= _MAX_CHARACTERS and not _LINK.search(text)
        for text, most in sides
    )


def earlier_answers(messages: Path, at: dt.datetime, cache: Path) -> list[str]:
    """What the owner answered before the cut, to turns of the same kind, chosen in the same way. Raises JobFailed."""
    turns = imessage.turns(imessage.read(messages, cache).messages)
    usable = [turn for turn in turns if is_plain(turn) and turn.reply[-1].when < at]
    return [answer(turn) for _, turn in choose(usable)]


def answer(turn: Turn) -> str:
    """What the owner wrote, as one text."""
    return " ".join(message.text for message in turn.reply)


def choose(usable: Sequence[Turn], most: int = MOST_TURNS) -> list[tuple[int, Turn]]:
    """Up to `most` turns, each with the number of its conversation, from 0, in the order in which they are asked."""
    chats: dict[str, dict[tuple[str, str], Turn]] = {}
    seen: set[tuple[str, str]] = set()
    for turn in usable:
        pair = turn.text, answer(turn)
        if pair not in seen:
            seen.add(pair)
            chats.setdefault(turn.incoming[0].person, {})[pair] = turn
    ordered = sorted((sorted(turns.values(), key=_hash) for turns in chats.values()), key=lambda turns: _hash(turns[0]))
    return list(_round_robin(ordered))[:most]


def _round_robin(chats: Sequence[Sequence[Turn]]) -> Iterator[tuple[int, Turn]]:
    for row in zip_longest(*chats):
        yield from ((number, turn) for number, turn in enumerate(row) if turn is not None)


def _hash(turn: Turn) -> str:
    """Depends on the row alone, so that the order is neither that of time nor that of any run."""
    return hashlib.sha256(str(turn.incoming[-1].rowid).encode()).hexdigest()
