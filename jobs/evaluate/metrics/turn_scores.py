"""Stores the measure own_turns for a run: what each reply to a held-out turn adds to its model's value.

The value belongs to the set of a model's replies, so the rows of all models are written anew each time, together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import peewee

from jarvisd.plugin import JobContext
from jobs.evaluate import earlier
from jobs.evaluate.metrics import canned, own_turns, similarity, style_set
from jobs.evaluate.metrics import fit as fit_metric
from jobs.evaluate.metrics.fit import Fit
from jobs.evaluate.metrics.own_turns import AskedTurn, OwnTurns, Reference
from jobs.evaluate.metrics.style_set import Voice
from jobs.lib import imessage, marks
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, ReferenceScore, Reply, Score, TrainTestSplit

METRIC = "own_turns"


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A set of replies to these turns, with its value."""

    turns: list[AskedTurn]
    texts: list[str]
    value: OwnTurns


def measure(context: JobContext) -> int | str:
    """Store the contributions of all models and the reference rows; how many replies got one, or why none did.

    What an earlier round stored stays where the measure cannot be taken. Raises JobFailed where the owner's messages
    cannot be read.
    """
    turns = {row.place: row for row in similarity.real_turns(context.run_id)}
    answered = {
        model: rows for model, rows in _answered(context.run_id).items() if len(rows) >= style_set.LEAST_REPLIES
    }
    split = TrainTestSplit.get_or_none(TrainTestSplit.run == context.run_id)
    if not answered or split is None:
        return f"it needs {style_set.LEAST_REPLIES} replies of a model to your own messages"
    history = imessage.read(Path(context.plan["messages"]), context.home.cache).messages
    before = earlier.own_turns(history, split.at)
    voice = style_set.voice([turn.answer for turn in before], earlier.other_answers(history, split.at))
    if voice is None:
        return _too_little()
    fit = _fit(context, [(turn.incoming, turn.answer) for turn in before], list(turns.values()))
    asked = {place: _asked(row) for place, row in turns.items()}
    sets = {model: _of_model(voice, fit, asked, rows) for model, rows in answered.items()}
    _store(context, answered, sets, fit)
    _store_references(context, voice, fit, list(asked.values()))
    return sum(map(len, answered.values()))


def _too_little() -> str:
    return (
        f"it needs {style_set.LEAST_OWN} answers of yours and {style_set.LEAST_OF_PERSON} of each of "
        f"{style_set.LEAST_PEOPLE} other people from before the held-out turns, who write in another way"
    )


def _answered(run_id: str) -> dict[str, list[Reply]]:
    """The successful replies to held-out turns by model."""
    columns = (Reply.id, Reply.model, Reply.reply, Reply.prompt)
    wanted = (Reply.run == run_id) & (Reply.scenario_id == REAL_TURNS) & Reply.success
    replies: dict[str, list[Reply]] = defaultdict(list)
    for row in Reply.select(*columns).where(wanted).order_by(Reply.prompt, Reply.sample, Reply.id):
        replies[row.model].append(row)
    return replies


def _asked(row: HeldOutTurn) -> AskedTurn:
    return AskedTurn(conversation=row.chat, incoming=row.incoming, answer=row.answer)


def _fit(context: JobContext, before: Sequence[fit_metric.Turn], turns: Sequence[HeldOutTurn]) -> Fit | None:
    """None where the plan's embedder is not on disk, or where fit cannot be told from chance."""
    encode = similarity.encode_of(context)
    model = None if encode is None else fit_metric.train(before, encode)
    if model is None:
        return None
    return fit_metric.measure(model, [(row.incoming, row.answer) for row in turns], [row.chat for row in turns])


def _of_model(voice: Voice, fit: Fit | None, asked: dict[int, AskedTurn], rows: Sequence[Reply]) -> _Measured:
    return _measured(voice, fit, [asked[row.prompt] for row in rows], [row.reply for row in rows])


def _measured(voice: Voice, fit: Fit | None, turns: list[AskedTurn], texts: list[str]) -> _Measured:
    value = own_turns.own_turns(voice, fit, turns, texts)
    assert value is not None  # noqa: S101 - there is a voice, and there are LEAST_REPLIES or more
    return _Measured(turns=turns, texts=texts, value=value)


def _store(context: JobContext, answered: dict[str, list[Reply]], sets: dict[str, _Measured], fit: Fit | None) -> None:
    rows = [
        {"reply": reply.id, "metric": METRIC, "value": value, "parts": parts}
        for model, measured in sets.items()
        for reply, value, parts in zip(
            answered[model], measured.value.contributions, _parts(measured, fit), strict=True
        )
    ]
    of_run = Reply.select(Reply.id).where(Reply.run == context.run_id)
    with context.checkpoint():
        Score.delete().where(Score.metric == METRIC, Score.reply.in_(of_run)).execute()
        for batch in peewee.chunked(rows, 200):
            Score.insert_many(batch).execute()
    context.log.info("%s: %d replies of %d models", METRIC, len(rows), len(sets))


def _parts(measured: _Measured, fit: Fit | None) -> list[dict[str, object]]:
    """Of each reply: how well it fits its message (None where that is unknown), and the marks against it."""
    incoming = [turn.incoming for turn in measured.turns]
    fits = [round(float(value), 4) for value in fit.scaled(incoming, measured.texts)] if fit else [None] * len(incoming)
    marked = marks.marks(incoming, measured.texts)
    return [{"fit": fit_of_reply, "marks": sorted(names)} for fit_of_reply, names in zip(fits, marked, strict=True)]


def _store_references(context: JobContext, voice: Voice, fit: Fit | None, turns: list[AskedTurn]) -> None:
    """What the best canned reply, another real answer and the real one reach on all held-out turns."""
    if len(turns) < style_set.LEAST_REPLIES:
        return
    rows = {name: _measured(voice, fit, turns, texts) for name, texts in own_turns.reference_replies(turns).items()}
    same = [_measured(voice, fit, turns, [text] * len(turns)) for text in canned.TEXTS]
    rows[Reference.CANNED] = max(same, key=lambda row: row.value.total.value)
    with context.checkpoint():
        ReferenceScore.delete().where(ReferenceScore.run == context.run_id, ReferenceScore.metric == METRIC).execute()
        for name, row in rows.items():
            total = row.value.total
            ReferenceScore.create(
                run=context.run_id,
                metric=METRIC,
                reference=name,
                value=total.value,
                low=total.low,
                high=total.high,
                n=row.value.n,
            )
