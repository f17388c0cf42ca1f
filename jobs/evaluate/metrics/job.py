"""The job that scores replies: style and meaning of every reply of a run that has no score yet, then readings and
own_turns.

Each batch is committed as one checkpoint, so a killed process loses at most one batch, and no reply is scored twice.
What belongs to all replies of a run together is written anew each time. Failed replies get no score: they count as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peewee

from jarvisd.plugin import JobContext, JobFailed, Outcome
from jobs.evaluate import holdout
from jobs.evaluate.metrics import readings, style, turn_scores
from jobs.evaluate.metrics import similarity as similarity_metric
from jobs.lib import stopping
from jobs.lib.results.tables import REAL_TURNS, HeldOutTurn, Reply, Score, TrainTestSplit
from jobs.lib.stopping import OutOfTime, Stopped

BATCH = 200  # replies per checkpoint
#: With less time left a batch might not be ready by the deadline.
LEAST_S = 5.0

METRICS = (style.METRIC, similarity_metric.METRIC)
Scored = tuple[float, dict[str, float]]  #: value 0..1, what it was made of
Scorer = Callable[[Sequence[Reply]], list[Scored]]


@dataclass(kw_only=True)
class _State:
    """Progress of the job, and the remarks for its outcome."""

    done: int
    total: int
    remarks: list[str] = field(default_factory=list)
    scored: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METRICS, 0))

    @property
    def place(self) -> str:
        return f"{self.done} of {self.total} scores"


def measure(context: JobContext) -> Outcome:
    """Score the replies without a score. A metric that cannot be measured is left out, with a remark."""
    pending = {metric: _pending(context.run_id, metric) for metric in METRICS}
    have = Score.select().join(Reply).where(Reply.run == context.run_id, Score.metric.in_(METRICS)).count()
    state = _State(done=have, total=have + sum(map(len, pending.values())))
    try:
        stopping.check(context, LEAST_S)
        for metric, open_scorer in ((style.METRIC, _style), (similarity_metric.METRIC, _meaning)):
            if pending[metric]:
                _score_pending(context, state, metric, pending[metric], open_scorer)
        for metric, whole, measured in (
            (readings.METRIC, Reply.scenario_id != REAL_TURNS, readings.measure),
            (turn_scores.METRIC, Reply.scenario_id == REAL_TURNS, turn_scores.measure),
        ):
            if Reply.select().where(Reply.run == context.run_id, Reply.success, whole).exists():
                _score_whole(context, state, metric, measured)
    except (Stopped, OutOfTime) as ended:
        if isinstance(ended, Stopped) and context.seconds_left() >= LEAST_S:  # else the deadline is why it was asked
            return Outcome(ok=False, reason=f"asked to stop after {state.place}", summary=dict(state.scored))
        state.remarks.append(f"out of time after {state.place}")
    return Outcome(reason="; ".join(state.remarks), summary=dict(state.scored))


def _pending(run_id: str, metric: str) -> list[Reply]:
    """Successful replies without a score of the metric; for `meaning` only replies to held-out turns."""
    has = Score.select(Score.id).where(Score.reply == Reply.id, Score.metric == metric)
    wanted = (Reply.run == run_id) & Reply.success & ~peewee.fn.EXISTS(has)
    if metric == similarity_metric.METRIC:
        wanted &= Reply.scenario_id == REAL_TURNS
    columns = (Reply.id, Reply.reply, Reply.scenario_id, Reply.prompt)
    return list(Reply.select(*columns).where(wanted).order_by(Reply.id))


def _score_pending(
    context: JobContext,
    state: _State,
    metric: str,
    pending: list[Reply],
    open_scorer: Callable[[JobContext], Scorer | str],
) -> None:
    stopping.check(context, LEAST_S)
    context.progress(state.done, state.total, metric)
    try:
        scorer = open_scorer(context)
        if isinstance(scorer, str):
            raise JobFailed(scorer)
        for start in range(0, len(pending), BATCH):
            stopping.check(context, LEAST_S)
            _commit(context, metric, pending[start : start + BATCH], scorer)
            state.scored[metric] += len(pending[start : start + BATCH])
            state.done += len(pending[start : start + BATCH])
            context.progress(state.done, state.total, metric)
    except JobFailed as failure:
        context.log.warning("%s is left out: %s", metric, failure.what)
        state.remarks.append(f"{metric} left out: {failure.what}")


def _score_whole(context: JobContext, state: _State, metric: str, measured: Callable[[JobContext], int | str]) -> None:
    """A metric of all replies of the run together; it returns how many it scored, or why none."""
    stopping.check(context, LEAST_S)
    try:
        scored = measured(context)
        if isinstance(scored, str):
            raise JobFailed(scored)
        state.scored[metric] = scored
    except JobFailed as failure:
        context.log.warning("%s is left out: %s", metric, failure.what)
        state.remarks.append(f"{metric} left out: {failure.what}")


def _commit(context: JobContext, metric: str, replies: list[Reply], scorer: Scorer) -> None:
    scores = scorer(replies)
    rows = [
        {"reply": reply.id, "metric": metric, "value": value, "parts": parts}
        for reply, (value, parts) in zip(replies, scores, strict=True)
    ]
    with context.checkpoint():
        Score.insert_many(rows).execute()
    context.log.info("%s: %d replies", metric, len(rows))


def _style(context: JobContext) -> Scorer | str:
    scale = style.scale(context.run_id)
    if isinstance(scale, str):
        return scale

    def score(replies: Sequence[Reply]) -> list[Scored]:
        styles = [scale.profile.style(reply.reply) for reply in replies]
        return [
            (scale.value(item.raw), _rounded(raw=item.raw, shape=item.shape, familiar=item.familiar)) for item in styles
        ]

    return score


def _meaning(context: JobContext) -> Scorer | str:
    """Compares with the owner's answers. The model is loaded only if a text is missing from the cache."""
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

    def score(replies: Sequence[Reply]) -> list[Scored]:
        vectors = encode([reply.reply for reply in replies])
        similarities = answers.similarities([reply.prompt for reply in replies], vectors)
        return [(answers.value(similarity), _rounded(similarity=similarity)) for similarity in similarities]

    return score


def _chance(
    context: JobContext,
    real: list[HeldOutTurn],
    vectors: similarity_metric.Vectors,
    encode: Callable[[list[str]], similarity_metric.Vectors],
) -> similarity_metric.Chance | str:
    """Similarity that another answer of the owner reaches, which is stored; or why it cannot be measured."""
    split = TrainTestSplit.get_or_none(TrainTestSplit.run == context.run_id)
    earlier = holdout.earlier_answers(Path(context.plan["messages"]), split.at, context.home.cache) if split else []
    if not earlier:
        return "there are no answers of yours from before the held-out turns"
    chance = similarity_metric.chance([turn.chat for turn in real], vectors, encode(earlier))
    if isinstance(chance, similarity_metric.Chance):
        with context.checkpoint():
            similarity_metric.store(context.run_id, chance)
    return chance


def _rounded(**parts: float) -> dict[str, float]:
    return {name: round(value, 4) for name, value in parts.items()}
