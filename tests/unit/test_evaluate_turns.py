"""Where the cut lies, which turns may be asked, and in what order."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.evaluate import holdout
from jobs.lib import imessage
from jobs.lib.imessage import Message, Turn

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def message(rowid: int, text: str = "hi", *, day: float = 0, mine: bool = False, person: str = "ann") -> Message:
    when = START + dt.timedelta(days=day)
    return Message(rowid, hash(person), False, person, mine, when, text)


def turn(
    rowid: int, incoming: str = "how are you?", reply: str = "good", *, day: float = 0, person: str = "ann"
) -> Turn:
    answer = (message(rowid + 1, reply, day=day + 0.01, mine=True, person=person),) if reply else ()
    return Turn((message(rowid, incoming, day=day, person=person),), answer)


def group(day: float) -> Turn:
    incoming = Message(1, 9, True, "bob", False, START + dt.timedelta(days=day), "who comes?")
    return Turn((incoming,), (Message(2, 9, True, "", True, START + dt.timedelta(days=day, hours=1), "me"),))


def test_a_fifth_of_the_answered_direct_turns_lies_after_the_cut() -> None:
    answered = [turn(day * 2, day=day) for day in range(10)]
    silent = [turn(100 + day, reply="", day=10 + day) for day in range(30)]
    groups = [group(day=50 + day) for day in range(30)]
    assert holdout.instant([*answered, *silent, *groups]) == START + dt.timedelta(days=8)
    assert holdout.instant(groups) is None


def test_a_turn_that_the_cut_falls_into_is_not_asked() -> None:
    at = START + dt.timedelta(days=1)
    long = Turn((message(1, day=0.9), message(2, day=1.1)), (message(3, day=1.2, mine=True),))
    assert not holdout.is_usable(long, at)
    assert holdout.is_usable(turn(1, day=1), at)


@pytest.mark.parametrize(
    ("incoming", "reply", "usable"),
    [
        ("how are you?", "good", True),
        ("😂", "👍", True),
        ("word " * 60, "word " * 30, True),
        ("word " * 61, "good", False),
        ("how are you?", "word " * 31, False),
        ("how are you?", "", False),
        ("look https://example.org/x", "nice", False),
        ("hi", "www.example.org", False),
        ("hi", "its on youtube.com/watch", False),
        ("hi", "ok.me too", True),
        ("a" * 1001, "wow", False),
        ("ok... sure", "e.g. tomorrow", True),
    ],
)
def test_what_a_model_may_be_asked(incoming: str, reply: str, usable: bool) -> None:
    assert holdout.is_usable(turn(1, incoming, reply), START) is usable


def test_turns_of_groups_are_not_asked() -> None:
    assert not holdout.is_usable(group(day=1), START)


def test_a_pair_is_asked_once_whoever_wrote_it() -> None:
    turns = holdout.choose([turn(1), turn(3, day=1), turn(5, person="bob"), turn(7, reply="bad")])
    assert sorted(holdout.answer(one) for _, one in turns) == ["bad", "good"]


def test_any_prefix_is_balanced_over_people() -> None:
    many = [turn(n, f"a {n}", person="ann") for n in range(0, 40, 2)]
    few = [turn(n, f"b {n}", person="bob") for n in range(100, 106, 2)]
    turns = holdout.choose([*many, *few])
    assert len(turns) == 23
    people = [one.incoming[0].person for _, one in turns]
    assert all(abs(people[:n].count("ann") - people[:n].count("bob")) <= 1 for n in range(7))
    assert people[6:] == ["ann"] * 17
    assert len({(number, one.incoming[0].person) for number, one in turns}) == 2


def test_the_order_depends_on_the_rows_alone_and_not_on_time() -> None:
    turns = [turn(n, f"a {n}", day=n) for n in range(0, 40, 2)]
    order = [one.incoming[0].rowid for _, one in holdout.choose(turns)]
    assert order == [one.incoming[0].rowid for _, one in holdout.choose(turns[::-1])]
    assert order != sorted(order)


def test_an_answer_of_several_messages_is_one_text() -> None:
    rows = [message(1, day=0), message(2, "yes", day=0.1, mine=True), message(3, "of course", day=0.11, mine=True)]
    (only,) = imessage.turns(rows)
    assert holdout.answer(only) == "yes of course"
