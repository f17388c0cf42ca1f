"""Style and meaning of every reply of a run that has none yet, a batch at a time.

A batch is one committed piece, so a process that is killed at any moment has lost a batch at most, and nothing is
scored twice. Failed replies have no layers: they count 0 anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peewee

from jarvisd.plugin import JobContext, JobFailed, Outcome
from jobs.evaluate import holdout
from jobs.evaluate.metrics import similarity as similarity_metric
from jobs.evaluate.metrics import style
from jobs.lib import stopping
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, Reply, Score, TrainTestSplit
from jobs.lib.stopping import OutOfTime, Stopped

BATCH = 200  # replies in a piece
#: With less time left a batch might not be ready by the deadline.
LEAST_S = 5.0

LAYERS = (style.LAYER, similarity_metric.LAYER)
Found = tuple[float, dict[str, float]]  #: value 0..1, what it was made of
Scorer = Callable[[Sequence[Reply]], list[Found]]


@dataclass(kw_only=True)
class _State:
    """How far the job is, and what it will say of it."""

    done: int
    total: int
    remarks: list[str] = field(default_factory=list)
    scored: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAYERS, 0))

    @property
    def place(self) -> str:
        return f"{self.done} of {self.total} scores"


def measure(context: JobContext) -> Outcome:
    """Score what has no score yet. What cannot be measured here is left out, with a remark, and fails nothing."""
    owed = {layer: _owed(context.run_id, layer) for layer in LAYERS}
    have = Score.select().join(Reply).where(Reply.run == context.run_id, Score.metric.in_(LAYERS)).count()
    state = _State(done=have, total=have + sum(map(len, owed.values())))
    try:
        stopping.check(context, LEAST_S)
        for layer, open_scorer in ((style.LAYER, _style), (similarity_metric.LAYER, _meaning)):
            if owed[layer]:
                _layer(context, state, layer, owed[layer], open_scorer)
    except Stopped:
        return Outcome(ok=False, reason=f"asked to stop after {state.place}", summary=dict(state.scored))
    except OutOfTime:
        state.remarks.append(f"out of time after {state.place}")
    return Outcome(reason="; ".join(state.remarks), summary=dict(state.scored))


def _owed(run_id: str, layer: str) -> list[Reply]:
    """Successful replies without a score of the layer; of the meaning layer, those to real turns only."""
    has = Score.select(Score.id).where(Score.reply == Reply.id, Score.metric == layer)
    wanted = (Reply.run == run_id) & Reply.success & ~peewee.fn.EXISTS(has)
    if layer == similarity_metric.LAYER:
        wanted &= Reply.scenario_id == REAL_TURNS
    columns = (Reply.id, Reply.reply, Reply.scenario_id, Reply.prompt)
    return list(Reply.select(*columns).where(wanted).order_by(Reply.id))


def _layer(
    context: JobContext,
    state: _State,
    layer: str,
    owed: list[Reply],
    open_scorer: Callable[[JobContext], Scorer | str],
) -> None:
    stopping.check(context, LEAST_S)
    context.progress(state.done, state.total, layer)
    try:
        scorer = open_scorer(context)
        if isinstance(scorer, str):
            raise JobFailed(scorer)
        for start in range(0, len(owed), BATCH):
            stopping.check(context, LEAST_S)
            _commit(context, layer, owed[start : start + BATCH], scorer)
            state.scored[layer] += len(owed[start : start + BATCH])
            state.done += len(owed[start : start + BATCH])
            context.progress(state.done, state.total, layer)
    except JobFailed as failure:
        context.log.warning("%s is left out: %s", layer, failure.what)
        state.remarks.append(f"{layer} left out: {failure.what}")


def _commit(context: JobContext, layer: str, replies: list[Reply], scorer: Scorer) -> None:
    scores = scorer(replies)
    rows = [
        {"reply": reply.id, "metric": layer, "value": value, "parts": parts}
        for reply, (value, parts) in zip(replies, scores, strict=True)
    ]
    with context.checkpoint():
        Score.insert_many(rows).execute()
    context.log.info("%s: %d replies", layer, len(rows))


def _style(context: JobContext) -> Scorer | str:
    scale = style.scale(context.run_id)
    if isinstance(scale, str):
        return scale

    def score(replies: Sequence[Reply]) -> list[Found]:
        styles = [scale.profile.style(reply.reply) for reply in replies]
        return [
            (scale.value(item.raw), _rounded(raw=item.raw, shape=item.shape, familiar=item.familiar)) for item in styles
        ]

    return score


def _meaning(context: JobContext) -> Scorer | str:
    """Compares with the owner's answers; loads the model only where the cache lacks one of the texts."""
    encoder = similarity_metric.encoder_of(context)
    if isinstance(encoder, str):
        return encoder

    def encode(texts: list[str]) -> similarity_metric.Vectors:
        stopping.check(context, LEAST_S)
        return encoder.encode(texts, should_stop=context.should_stop)

    real = similarity_metric.real_turns(context.run_id)
    if not real:
        return "there are no real turns"
    vectors = encode([turn.answer for turn in real])
    chance = similarity_metric.stored(context.run_id) or _chance(context, real, vectors, encode)
    answers = chance if isinstance(chance, str) else similarity_metric.answers(real, vectors, chance)
    if isinstance(answers, str):
        return answers

    def score(replies: Sequence[Reply]) -> list[Found]:
        vectors = encode([reply.reply for reply in replies])
        found = answers.similarities([reply.prompt for reply in replies], vectors)
        return [(answers.value(similarity), _rounded(similarity=similarity)) for similarity in found]

    return score


def _chance(
    context: JobContext,
    real: list[HeldOutTurn],
    vectors: similarity_metric.Vectors,
    encode: Callable[[list[str]], similarity_metric.Vectors],
) -> similarity_metric.Chance | str:
    """What an answer from before the cut reaches, stored; or why nothing says so."""
    cut = TrainTestSplit.get_or_none(TrainTestSplit.run == context.run_id)
    earlier = holdout.earlier_answers(Path(context.plan["messages"]), cut.at) if cut else []
    if not earlier:
        return "there are no answers of yours from before the cut"
    found = similarity_metric.chance([turn.chat for turn in real], vectors, encode(earlier))
    if isinstance(found, similarity_metric.Chance):
        with context.checkpoint():
            similarity_metric.store(context.run_id, found)
    return found


def _rounded(**parts: float) -> dict[str, float]:
    return {name: round(value, 4) for name, value in parts.items()}
