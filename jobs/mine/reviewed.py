"""Turns on which the owner judged a draft: they calibrate, and no ranker that is reported on is trained on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet

import numpy as np

from jobs.lib.reviews.cards import turn_id
from jobs.mine.answers import Places, Turns


def set_aside(turns: Turns, past: Places, newest: Places, reviewed: AbstractSet[str]) -> tuple[Places, Places]:
    """The past without the turns of `reviewed`, and the newest part with them behind it; see cards.turn_id.

    So an answer that was given weeks ago still says something about drafts on a turn that the ranker was not given.
    """
    if not reviewed:
        return past, newest
    known = np.array([_digest(turns, turn) in reviewed for turn in range(len(turns.texts))], dtype=np.bool_)
    older = np.flatnonzero(known & ~np.isin(np.arange(len(known)), newest)).astype(np.int32)
    return past[~known[past]], np.concatenate([newest, older])


def _digest(turns: Turns, turn: int) -> str:
    sent_at = dt.datetime.fromtimestamp(float(turns.when[turn]), dt.UTC)
    return turn_id(sent_at, "\n".join(turns.asked[turn].messages))
