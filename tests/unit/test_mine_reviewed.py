"""Reviewed turns calibrate the next night's ranker and never train the one that is reported on."""

from __future__ import annotations

import datetime as dt

import numpy as np

from jobs.lib.matching.inputs import Asked
from jobs.lib.reviews.cards import turn_id
from jobs.mine import reviewed
from jobs.mine.answers import Turns

SINCE = 1_760_000_000.123


def turns(count: int) -> Turns:
    return Turns(
        texts=[f"text {turn}" for turn in range(count)],
        shown=[f"text {turn}" for turn in range(count)],
        replies=np.zeros(count, np.int32),
        before=np.arange(count),
        settled=np.arange(count),
        asked=[Asked((f"first {turn}", f"second {turn}")) for turn in range(count)],
        answers=["yes"] * count,
        chats=np.zeros(count, np.int64),
        when=SINCE + 60.0 * np.arange(count),
    )


def digest(turn: int) -> str:
    """Of a turn as a card of a review has it."""
    return turn_id(dt.datetime.fromtimestamp(SINCE + 60.0 * turn, dt.UTC), f"first {turn}\nsecond {turn}")


def test_reviewed_turns_leave_the_past_and_stand_behind_the_newest_part() -> None:
    past, newest = np.arange(0, 8, dtype=np.int32), np.arange(8, 10, dtype=np.int32)
    parts = reviewed.set_aside(turns(10), past, newest, {digest(3), digest(5), digest(9), "of a pruned history"})
    assert parts[0].tolist() == [0, 1, 2, 4, 6, 7]
    assert parts[1].tolist() == [8, 9, 3, 5]


def test_without_reviews_the_parts_stay_as_they_are() -> None:
    past, newest = np.arange(0, 8, dtype=np.int32), np.arange(8, 10, dtype=np.int32)
    parts = reviewed.set_aside(turns(10), past, newest, frozenset())
    assert parts[0] is past
    assert parts[1] is newest
