"""How good the replies of a run are: per reply, and per model.

A model has two measures. `instructions` is the value of its replies to the scenarios: that of the second reading where
every complete reply of the run was read, else that of the checks for all models, never one for some. `own_turns` is the
mean of what each reply to a turn of the owner's history adds to the value of all of them, as the metric of that name
stores it; where it was not stored the measure was not taken. Style and meaning are figures beside it and do not count.
Quality is the sum of both measures by the weights of the plan, the same in every round; where no model has `own_turns`,
it is `instructions` alone. A failed reply counts 0, so a model cannot gain by failing on the hard prompts.
"""

from __future__ import annotations

import enum
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from jobs.lib import stats
from jobs.lib.comparison import gates
from jobs.lib.comparison.load import ComparisonData, LoadRow, ReplyRow, TurnRow
from jobs.lib.comparison.prompts import Measure, Prompt, Samples, Scores, by_cluster
from jobs.lib.comparison.rules import METRICS
from jobs.lib.comparison.two_measures import MeasureFigures, Taken, take

BITS = "bits_per_character"
READING = "reading"  #: metric of the second reader, see jobs.evaluate.metrics.readings
Limits = Mapping[str, float | None]


class Gate(enum.StrEnum):
    """A limit that a model has to keep; the name is the key in the plan."""

    SUCCESS = "success"
    MEMORY = "memory_mb"
    P95 = "p95_ms"


@dataclass(frozen=True, kw_only=True)
class FailedGate:
    """A gate that a model fails: its value, and the limit."""

    gate: Gate
    value: float
    limit: float
    successes: int = 0  #: of the gate SUCCESS
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class ReplyScores:
    """A reply with its prompt and what counts of its metrics."""

    row: ReplyRow
    prompt: Prompt
    metrics: Mapping[str, float | None]  #: each of METRICS; None where it does not count
    #: At a scenario the value of the reading or of the checks, 0..1; at a turn of the owner's the contribution to
    #: `own_turns`, which may lie outside 0..1, and None where it was not measured.
    quality: float | None


@dataclass(frozen=True, kw_only=True)
class MetricFigures:
    """A metric of one model: mean over cluster means with its interval; None where it was not measured."""

    mean: float | None
    ci: list[float] | None
    n: int  #: replies
    clusters: int


@dataclass(frozen=True, kw_only=True)
class AdjustedFigures:
    """Figures of a model as if it had been asked all that the leader was asked; see adjusted.py."""

    leader: str | None
    answered: int  #: prompts
    quality: float | None
    quality_ci: list[float] | None
    p50_latency_ms: float | None
    avg_latency_ms: float | None
    asked: int  #: prompts of all models


@dataclass(frozen=True, kw_only=True)
class ModelFigures:
    """Figures of one model; None where nothing was measured. Speed: successful replies that were written one by one.

    `p95_latency_ms` is None below stats.P95_NEEDS such replies, where it would be little more than the slowest one.
    """

    total_tests: int
    successes: int
    failures: int
    success_rate: float | None
    success_rate_ci: list[float] | None
    timed_replies: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    max_latency_ms: float | None
    avg_ttft_ms: float | None
    p50_ttft_ms: float | None
    inter_token_ms: float | None
    tokens_per_second: float | None
    characters_per_second: float | None
    avg_tokens: float | None
    quality: float | None
    quality_ci: list[float] | None
    quality_clusters: int  #: prompts of the scenarios and conversations
    instructions: MeasureFigures = field(default_factory=MeasureFigures)
    own_turns: MeasureFigures = field(default_factory=MeasureFigures)
    p_best: float | None = None  #: chance of being the best
    metrics: Mapping[str, MetricFigures] = field(metadata={"json": "layers"})
    first_reply_ms: float | None
    peak_memory_mb: float | None
    process_peak_mb: float | None
    common: AdjustedFigures | None = None

    @property
    def shared_quality(self) -> float | None:
        """Quality, adjusted to the leader's prompts where that was computed."""
        return self.common.quality if self.common else self.quality

    @property
    def shared_quality_ci(self) -> list[float] | None:
        return self.common.quality_ci if self.common else self.quality_ci

    @property
    def shared_p50_ms(self) -> float | None:
        return self.common.p50_latency_ms if self.common else self.p50_latency_ms

    @property
    def shared_mean_ms(self) -> float | None:
        return self.common.avg_latency_ms if self.common else self.avg_latency_ms


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """One model: each of its replies, its quality at each prompt, its figures and the gates that it fails."""

    replies: tuple[ReplyScores, ...]
    by_prompt: Scores
    figures: ModelFigures
    failed_gates: tuple[FailedGate, ...]

    @property
    def samples(self) -> Samples:
        """The quality of each sample at each prompt, where it is known."""
        return _samples(self.replies, lambda reply: reply.quality)

    def at_prompts(self, value: Callable[[ReplyScores], float | None]) -> dict[Prompt, float]:
        """Mean of `value` over the model's samples at each prompt, where it is known."""
        return _at_prompts(self.replies, value)


def score(data: ComparisonData) -> dict[str, ModelScores]:
    """The scores of every model that was loaded or gave replies, in the order of the plan."""
    counting = _Counting.of(data)
    models = {key: _model(key, data, counting) for key in data.models}
    taken = take_measures(data, models)
    return {key: replace(model, figures=_with_measures(key, model.figures, taken)) for key, model in models.items()}


def take_measures(data: ComparisonData, models: Mapping[str, ModelScores]) -> Taken:
    """Both measures of the models."""
    samples = {key: model.samples for key, model in models.items()}
    return take(samples, data.rules.measures, turns_expected=not data.is_last)


def _with_measures(key: str, figures: ModelFigures, taken: Taken) -> ModelFigures:
    quality = taken.figures_of_quality(key)
    return replace(
        figures,
        instructions=taken.figures(key, Measure.INSTRUCTIONS),
        own_turns=taken.figures(key, Measure.OWN_TURNS),
        quality=quality.value,
        quality_ci=quality.ci,
        quality_clusters=quality.n,
    )


def known(values: Iterable[float | None]) -> list[float]:
    """The numbers among values, without None, NaN and infinity."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


# ------------------------------------------------------------------------------------------------ one reply


def _prompt(row: ReplyRow, turns: Mapping[int, TurnRow]) -> Prompt:
    if not row.is_real:
        return f"scenario:{row.scenario_id}", row.prompt
    turn = turns.get(row.prompt)
    return f"chat:{turn.chat if turn else -1}", row.prompt


def is_read(data: ComparisonData) -> bool:
    """Whether every complete reply to a scenario, of all models, was read by the second reader."""
    complete = [row for row in data.replies if row.success and not row.is_real]
    return bool(complete) and all(READING in row.metrics for row in complete)


@dataclass(frozen=True, kw_only=True)
class _Counting:
    """What counts of the replies of a run: the same for all models."""

    metrics: Mapping[Prompt, frozenset[str]]  #: those that every complete reply to the prompt has
    is_read: bool
    has_own_turns: bool

    @classmethod
    def of(cls, data: ComparisonData) -> _Counting:
        return cls(
            metrics=_metrics_of_all(data),
            is_read=is_read(data),
            has_own_turns=any(Measure.OWN_TURNS in row.metrics for row in data.replies),
        )

    def failures_count(self, rows: Iterable[ReplyRow]) -> bool:
        """Whether failed replies of a model to turns of the owner's count 0: where its other ones were measured, or
        there are none. A model with too few complete replies for the measure has no value."""
        complete = [row for row in rows if row.is_real and row.success]
        return self.has_own_turns and (not complete or any(Measure.OWN_TURNS in row.metrics for row in complete))


def _metrics_of_all(data: ComparisonData) -> dict[Prompt, frozenset[str]]:
    """One that only some replies have (the night ended while the others were measured) would compare two scales."""
    counting: dict[Prompt, frozenset[str]] = {}
    for row in data.replies:
        if row.success:
            prompt, measured = _prompt(row, data.turns), frozenset(row.metrics)
            counting[prompt] = counting.get(prompt, measured) & measured
    return counting


def _reply(row: ReplyRow, data: ComparisonData, counting: _Counting, *, fails: bool) -> ReplyScores:
    """`fails` says whether a failed reply to a turn of the owner's counts 0."""
    prompt = _prompt(row, data.turns)
    metrics = {name: _metric(row, name, counting.metrics.get(prompt, frozenset())) for name in METRICS}
    if row.is_real:
        quality = _stored(row, Measure.OWN_TURNS) if row.success else 0.0 if fails else None
    else:
        quality = _stored(row, READING) if row.success and counting.is_read else metrics["checks"]
    return ReplyScores(row=row, prompt=prompt, metrics=metrics, quality=quality)


def _stored(row: ReplyRow, metric: str) -> float | None:
    return next(iter(known([row.metrics.get(metric)])), None)


def _metric(row: ReplyRow, name: str, counting: frozenset[str]) -> float | None:
    if name == "checks":
        return next(iter(known([row.quality])), None) if row.success else 0.0
    if name not in counting:
        return None
    return row.metrics.get(name, 0.0) if row.success else 0.0


def _samples(replies: Sequence[ReplyScores], value: Callable[[ReplyScores], float | None]) -> dict[Prompt, list[float]]:
    samples: dict[Prompt, list[float]] = defaultdict(list)
    for reply in replies:
        samples[reply.prompt] += known([value(reply)])
    return {prompt: values for prompt, values in samples.items() if values}


def _at_prompts(replies: Sequence[ReplyScores], value: Callable[[ReplyScores], float | None]) -> dict[Prompt, float]:
    return {prompt: math.fsum(values) / len(values) for prompt, values in _samples(replies, value).items()}


# ------------------------------------------------------------------------------------------------ one model


def _model(key: str, data: ComparisonData, counting: _Counting) -> ModelScores:
    rows = data.replies_of(key)
    fails = counting.failures_count(rows)
    replies = tuple(_reply(row, data, counting, fails=fails) for row in rows)
    by_prompt = _at_prompts(replies, lambda reply: reply.quality)
    figures = _figures(replies, data.loads_of(key))
    failed = failed_gates(replies, figures, data.rules.gates)
    return ModelScores(replies=replies, by_prompt=by_prompt, figures=figures, failed_gates=failed)


def _figures(replies: Sequence[ReplyScores], loads: Sequence[LoadRow]) -> ModelFigures:
    rows = [reply.row for reply in replies]
    good = [row for row in rows if row.success]
    timed = [row for row in good if not row.batched and row.latency_ms is not None]
    latencies = known(row.latency_ms for row in timed)
    return ModelFigures(
        total_tests=len(rows),
        successes=len(good),
        failures=len(rows) - len(good),
        success_rate=len(good) / len(rows) if rows else None,
        success_rate_ci=stats.wilson(len(good), len(rows)),
        timed_replies=len(latencies),
        avg_latency_ms=stats.mean(latencies),
        p50_latency_ms=stats.median(latencies),
        p95_latency_ms=stats.p95(latencies),
        max_latency_ms=max(latencies, default=None),
        avg_ttft_ms=stats.mean(known(row.ttft_ms for row in timed)),
        p50_ttft_ms=stats.median(known(row.ttft_ms for row in timed)),
        inter_token_ms=stats.median(known(row.inter_token_ms for row in timed)),
        tokens_per_second=stats.median(known(row.tokens_per_second for row in timed)),
        characters_per_second=stats.median(known(row.characters_per_second for row in timed)),
        avg_tokens=stats.mean(known(row.tokens for row in good)),
        quality=None,
        quality_ci=None,
        quality_clusters=0,
        metrics=_metrics(replies),
        first_reply_ms=next(iter(known(row.first_reply_ms for row in loads)), None),
        peak_memory_mb=_peak(rows, loads),
        process_peak_mb=max(known(row.process_mb for row in loads), default=None),
    )


def _peak(rows: Sequence[ReplyRow], loads: Sequence[LoadRow]) -> float | None:
    """Peak of the model as JARVIS would use it, in MB: a batch holds several replies at once and is left out."""
    peaks = [row.peak_memory_mb for row in rows if not row.batched] + [row.load_peak_mb for row in loads]
    return max(known(peaks), default=None)


def _metrics(replies: Sequence[ReplyScores]) -> dict[str, MetricFigures]:
    figures = {name: _metric_figures(replies, partial(_value, name), 1.0) for name in METRICS}
    bits = _metric_figures(replies, lambda reply: reply.row.bits_per_character, math.inf)
    return figures | {BITS: bits}


def _value(metric: str, reply: ReplyScores) -> float | None:
    return reply.metrics[metric]


def _metric_figures(
    replies: Sequence[ReplyScores], value: Callable[[ReplyScores], float | None], most: float
) -> MetricFigures:
    estimate = stats.clustered_interval(by_cluster(_at_prompts(replies, value)))
    return MetricFigures(
        mean=estimate.mean if estimate else None,
        ci=stats.clip_interval(estimate.interval, high=most) if estimate else None,
        n=len(known(value(reply) for reply in replies)),
        clusters=estimate.n if estimate else 0,
    )


def failed_gates(replies: Sequence[ReplyScores], figures: ModelFigures, limits: Limits) -> tuple[FailedGate, ...]:
    """The gates that a model fails beyond chance. A gate whose value was not measured passes."""
    return tuple(_success_gate(figures, limits) + _memory_gate(figures, limits) + _time_gate(replies, figures, limits))


def _success_gate(figures: ModelFigures, limits: Limits) -> list[FailedGate]:
    least, count = limits.get(Gate.SUCCESS), gates.Count(figures.successes, figures.total_tests)
    if least is None or not count.n or not gates.misses_success(count, least):
        return []
    share = count.hits / count.n
    return [FailedGate(gate=Gate.SUCCESS, value=share, limit=least, successes=count.hits, total=count.n)]


def _memory_gate(figures: ModelFigures, limits: Limits) -> list[FailedGate]:
    most, peak = limits.get(Gate.MEMORY), figures.peak_memory_mb
    return (
        [] if most is None or peak is None or peak <= most else [FailedGate(gate=Gate.MEMORY, value=peak, limit=most)]
    )


def _time_gate(replies: Sequence[ReplyScores], figures: ModelFigures, limits: Limits) -> list[FailedGate]:
    slowest, p95 = limits.get(Gate.P95), figures.p95_latency_ms
    times = _latencies(replies)
    if slowest is None or p95 is None or not gates.misses_p95(gates.Count(sum(t > slowest for t in times), len(times))):
        return []
    return [FailedGate(gate=Gate.P95, value=p95, limit=slowest)]


def _latencies(replies: Sequence[ReplyScores]) -> list[float]:
    """Milliseconds of the successful replies that were written one by one."""
    return known(reply.row.latency_ms for reply in replies if reply.row.success and not reply.row.batched)
