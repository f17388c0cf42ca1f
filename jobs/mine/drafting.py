"""The ranker of the night: fitted to everything, and what it drafted before the newest part was among it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jobs.lib.embedding import int8, onnx_bert
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_bert import Unfit
from jobs.lib.matching.inputs import Asked
from jobs.lib.matching.ranker import Values
from jobs.lib.stopping import Stopped
from jobs.mine import backtest, ranking
from jobs.mine.answers import Places
from jobs.mine.backtest import CONTEXT, MatchData
from jobs.mine.coverage import Vectors
from jobs.mine.inputs import Task
from jobs.mine.ranking import Fitted, TurnInputs

if TYPE_CHECKING:
    from jobs.lib.embedding.single import Read

#: Share of first drafts that must stay the same for texts to be embedded in int8.
LEAST_AGREEMENT = 0.95
MOST_COMPARED = 2000  # turns, the newest: each text is embedded alone, which takes some ms


@dataclass(frozen=True, slots=True)
class Fast:
    """The ranker on vectors in int8, beside the same one on those in float32."""

    same: int  #: turns of the newest part on which both have the same first draft
    turns: int

    @property
    def agrees(self) -> bool:
        return self.same >= LEAST_AGREEMENT * self.turns


@dataclass(frozen=True, slots=True)
class Drafting:
    """Rankers over the templates of the night."""

    ranker: Fitted  #: fitted to everything
    held: Places  #: turns of the newest part
    chances: Values  #: (held, templates) on these turns, which only chose its number of epochs
    fast: Fast | None  #: None where `jarvisd[fast]` is not installed, or the matcher is no plain BERT


def given(asked: Sequence[Asked], embed: Callable[[list[str]], Vectors]) -> TurnInputs:
    """The three texts of each turn as vectors; zeros for a text that there is not."""
    forms = [one.forms for one in asked]
    turn, last, previous = ([texts[place] for texts in forms] for place in range(3))
    before = embed(previous)
    before[[not text for text in previous]] = 0
    return TurnInputs(embed(turn), embed(last), before, ranking.numbers_of(list(asked)))


def draft(
    task: Task, data: MatchData, chosen: Sequence[int], parts: tuple[Places, Places], matcher: Encoder
) -> Drafting:
    """parts: the turns of the past, and those of the newest part. Raises Stopped."""
    before, ranker = backtest.fitted(data, list(chosen), *parts)
    chances = backtest.chances_of(data, before, parts[1])[CONTEXT]
    return Drafting(ranker, parts[1], chances, _fast(task, data, parts[1], before, matcher))


def _fast(task: Task, data: MatchData, held: Places, ranker: Fitted, matcher: Encoder) -> Fast | None:
    """None where the model cannot be had in int8."""
    if not onnx_bert.installed():
        return None
    try:
        model = int8.open_model(matcher.folder, matcher.fingerprint, task.context.home.cache)
    except Unfit:
        return None
    return in_int8(data, held, ranker, model.encode, task.context.should_stop)


def in_int8(
    data: MatchData, held: Places, ranker: Fitted, read: Read, should_stop: Callable[[], bool] = lambda: False
) -> Fast:
    """On how many of the newest `held` turns `ranker` has the same first draft with vectors by `read`. Raises Stopped.

    It is not trained again on these vectors: two trainings on the same float32 vectors, their turns in another order,
    have the same first draft on 84 to 96 % of turns only, because the best two drafts are often nearly as likely.
    """
    newest = held[data.may_draft[held]][-MOST_COMPARED:]

    @functools.cache
    def read_once(text: str) -> Vectors:
        if should_stop():
            raise Stopped
        return read(text)

    def embed(texts: list[str]) -> Vectors:
        return np.stack([read_once(text) for text in texts])

    if not len(newest):
        return Fast(0, 0)
    small = given([data.turns.asked[turn] for turn in newest], embed).rows(np.arange(len(newest), dtype=np.int32))
    exact = data.given.rows(newest)
    first, other = (ranker.probabilities(rows).argmax(axis=1) for rows in (exact, small))
    return Fast(int((first == other).sum()), len(newest))
