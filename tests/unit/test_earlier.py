"""What counts as known before the split, from either side of a conversation."""

from __future__ import annotations

import datetime as dt

from jobs.evaluate import earlier
from jobs.evaluate.examples import Example
from jobs.lib.imessage import Message

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SPLIT = START + dt.timedelta(minutes=10)


def history(*lines: str, person: str = "ann", chat: int = 1, group: bool = False) -> list[Message]:
    """One message per minute; "me: " begins those of the owner."""
    return [
        Message(
            place,
            chat,
            group,
            person,
            line.startswith("me: "),
            START + dt.timedelta(minutes=place),
            line.removeprefix("me: "),
        )
        for place, line in enumerate(lines)
    ]


TALK = history(
    "you there?", "hello?", "me: yep", "me: what's up", "party tonight", "me: ok", "great!", "see you", "me: bye"
)


def test_an_earlier_turn_holds_all_that_came_in_and_all_that_was_answered() -> None:
    assert earlier.own_turns(TALK, SPLIT) == [
        Example(person="ann", incoming="you there? hello?", answer="yep what's up"),
        Example(person="ann", incoming="party tonight", answer="ok"),
        Example(person="ann", incoming="great! see you", answer="bye"),
    ]


def test_nothing_at_or_after_the_split_is_known() -> None:
    split = START + dt.timedelta(minutes=5)
    assert [turn.answer for turn in earlier.own_turns(TALK, split)] == ["yep what's up"]
    assert earlier.other_answers(TALK, split) == {"ann": ["party tonight"]}


def test_other_people_answer_the_owner_by_person() -> None:
    other = history("me: hi", "hey bob here", person="bob", chat=2)
    assert earlier.other_answers(TALK + other, SPLIT) == {
        "ann": ["party tonight", "great! see you"],
        "bob": ["hey bob here"],
    }


def test_groups_and_links_are_left_out() -> None:
    assert earlier.own_turns(history("hi", "me: hello", group=True), SPLIT) == []
    assert earlier.own_turns(history("hi", "me: see https://example.com"), SPLIT) == []
