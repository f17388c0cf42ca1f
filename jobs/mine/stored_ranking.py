"""The rows of a mining's ranker: its weights, and its drafts on turns that it was not fitted to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from jobs.lib.matching.ranker import Ranker
from jobs.lib.matching.readers import FLOAT32, INT8
from jobs.mine import answers, figures, stored
from jobs.mine.drafting import Drafting
from jobs.mine.inputs import Task
from jobs.mine.stored import Mined

#: Held-out turns of which drafts are stored: the newest.
MOST_TURNS = 5000
_DRAFTS = 3  # per turn


def rankings(task: Task, mined: Mined) -> list[dict[str, Any]]:
    """One row, none where there was no matcher. Its figures say whether texts may be embedded in int8 for it."""
    drafting = mined.matching.drafting
    if drafting is None:
        return []
    measured = figures.chances(mined.matching.trials) | {"epochs": drafting.ranker.epochs}
    ranker = Ranker(drafting.ranker.weights, drafting.ranker.prior, _templates(mined))
    return [
        {
            "job": task.context.job_id,
            "run": task.context.run_id,
            "space": FLOAT32,
            "weights": ranker.to_bytes(),
            "figures": measured | {INT8: fast_figures(mined)},
        }
    ]


def fast_figures(mined: Mined) -> dict[str, Any] | None:
    """Whether texts are embedded in int8, and how often the first draft is that of float32; None where not tried."""
    drafting = mined.matching.drafting
    if drafting is None or drafting.fast is None:
        return None
    fast = drafting.fast
    return {"used": fast.agrees, **figures.proportion("same_first", fast.same, fast.turns)}


def drafts(task: Task, mined: Mined) -> list[dict[str, Any]]:
    """The newest turns that may be answered with a template, in order of time."""
    drafting = mined.matching.drafting
    if drafting is None:
        return []
    order = answers.first_three(drafting.chances, 0.0, _DRAFTS)
    drafted = np.flatnonzero(order[:, 0] >= 0)[-MOST_TURNS:]
    identity = {"job": task.context.job_id, "run": task.context.run_id}
    return [
        identity | {"place": place} | _turn(mined, drafting, int(row), order[row]) for place, row in enumerate(drafted)
    ]


def _turn(mined: Mined, drafting: Drafting, row: int, order: answers.Places) -> dict[str, Any]:
    turns, ids = mined.messages.turns, _templates(mined)
    turn = int(drafting.held[row])
    asked, answered = turns.asked[turn], turns.answers[turn]
    offered = [[ids[column], round(float(drafting.chances[row, column]), 5)] for column in order if column >= 0]
    return {
        "chat": int(turns.chats[turn]),
        "sent_at": dt.datetime.fromtimestamp(float(turns.when[turn]), dt.UTC),
        "previous": asked.previous,
        "incoming": "\n".join(asked.messages),
        "answer": answered,
        "drafts": offered,
        "probability": offered[0][1],
    }


def _templates(mined: Mined) -> tuple[str, ...]:
    """The uuids of the templates, in the order of the ranker's columns."""
    return tuple(stored.template_id(mined, place) for place in mined.coverage.chosen)
