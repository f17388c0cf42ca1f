"""What lies before the split: the owner's turns, and what other people answered. An answer is one whole turn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from jobs.evaluate import holdout
from jobs.evaluate.examples import Example
from jobs.lib import imessage
from jobs.lib.imessage import Message


def own_turns(messages: Sequence[Message], at: dt.datetime) -> list[Example]:
    """Turns that the owner answered before `at`, of the kind that models are asked, oldest first."""
    return [
        Example(person=turn.incoming[0].person, incoming=turn.text, answer=holdout.answer(turn))
        for turn in imessage.turns(messages)
        if holdout.is_plain(turn) and turn.reply[-1].when < at
    ]


def other_answers(messages: Sequence[Message], at: dt.datetime) -> dict[str, list[str]]:
    """What each other person answered to the owner before `at`, oldest first."""
    seen_from_there = [replace(message, from_me=not message.from_me) for message in messages if message.when < at]
    answers: dict[str, list[str]] = {}
    for turn in own_turns(seen_from_there, at):
        answers.setdefault(turn.person, []).append(turn.answer)
    return answers
