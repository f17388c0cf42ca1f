"""The ranker of the night: fitted to everything, and what it drafted before the newest part was among it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.lib.embedding import onnx_bert
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.int8 import Int8Encoder
from jobs.lib.embedding.numpy_bert import Unfit
from jobs.lib.matching.ranker import Values
from jobs.mine import backtest, ranking
from jobs.mine.answers import Places, Turns
from jobs.mine.backtest import CONTEXT, MatchData
from jobs.mine.inputs import Task
from jobs.mine.ranking import Fitted, TurnInputs

#: Share of first drafts that must be the same in int8 for its ranker to be used.
LEAST_AGREEMENT = 0.95


@dataclass(frozen=True, slots=True)
class Fast:
    """The ranker on vectors in int8, beside the one in float32."""

    ranker: Fitted
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


def given(task: Task, turns: Turns, encoder: Encoder | Int8Encoder) -> TurnInputs:
    """The three texts of each turn as vectors; zeros for a text that there is not."""
    forms = [asked.forms for asked in turns.asked]
    turn, last, previous = ([texts[place] for texts in forms] for place in range(3))
    before = task.embed(encoder, previous)
    before[[not text for text in previous]] = 0
    numbers = ranking.numbers_of(turns.asked)
    return TurnInputs(task.embed(encoder, turn), task.embed(encoder, last), before, numbers)


def draft(
    task: Task, data: MatchData, chosen: Sequence[int], parts: tuple[Places, Places], matcher: Encoder
) -> Drafting:
    """parts: the turns of the past, and those of the newest part. Raises Stopped."""
    before, ranker = backtest.fitted(data, list(chosen), *parts)
    chances = backtest.chances_of(data, before, parts[1])[CONTEXT]
    fast = _fast(task, data, list(chosen), parts, matcher, before.epochs, chances)
    return Drafting(ranker, parts[1], chances, fast)


def _fast(
    task: Task,
    data: MatchData,
    chosen: list[int],
    parts: tuple[Places, Places],
    matcher: Encoder,
    epochs: int,
    chances: Values,
) -> Fast | None:
    """The ranker in int8; None where it cannot be had."""
    if not onnx_bert.installed():
        return None
    try:
        encoder = Int8Encoder(matcher.folder, matcher.fingerprint, task.context.home.cache)
    except Unfit:
        return None
    return in_int8(data, given(task, data.turns, encoder), chosen, parts, epochs, chances)


def in_int8(
    data: MatchData, vectors: TurnInputs, chosen: list[int], parts: tuple[Places, Places], epochs: int, chances: Values
) -> Fast:
    """The same training on `vectors` in int8, compared with the `chances` of float32 on the newest part."""
    small = dataclasses.replace(data, given=vectors)
    replies = backtest.replies_of(small, chosen)
    before = ranking.after(small.given, replies, parts[0], epochs)
    both = np.concatenate([parts[0], data.turns.answered(parts[1])]).astype(np.int32)
    other = backtest.chances_of(small, before, parts[1])[CONTEXT]
    may = data.may_draft[parts[1]]
    same = int((chances.argmax(axis=1) == other.argmax(axis=1))[may].sum())
    return Fast(ranking.after(small.given, replies, both, epochs), same, int(may.sum()))
