"""The rows about models: who leads, what quality is made of, marks, memory, speed, and every pair's difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.lib.comparison.document import Difference, ModelDocument, PairDocument, Reference, ReferenceValue
from jobs.lib.comparison.scores import BITS, MetricFigures, ModelFigures
from jobs.lib.comparison.two_measures import MeasureFigures
from jobs.report.escape import NOT_MEASURED, clean, duration, megabytes, milliseconds, number
from jobs.report.gather import Report

COLD = 2  #: a first reply that takes so many times the median counts as a slow start

NUMERIC = (4, 5, 7, 8)
METRICS = ("checks", "style", "meaning")
METRIC_HEADER = ["Model", "Checks", "Style", "Meaning", "Bits per character"]
REFERENCE_HEADER = ["Reference", "As a reply is scored", "Before scaling", "n", "What it is"]
SPEED_HEADER = [
    "Model",
    "p50",
    "p95",
    "Slowest",
    "First token",
    "Between tokens",
    "Characters/s",
    "First reply",
    "Load",
]
PAIR_HEADER = ["Pair", "Difference in quality (95 % interval)", "p", "p (Holm)", "On"]

_REFERENCES = {
    "ceiling": "the other half of your own messages",
    "floor": "messages of other people",
    "random": "another reply of yours from before the split, drawn at random",
}


def name(report: Report, key: str) -> str:
    """A model's name as people know it, not escaped."""
    model = report.models.get(key)
    return clean(model.name, 80) if model else clean(key, 80)


def in_order(report: Report) -> list[tuple[str, ModelDocument]]:
    """The models by their rank: the leader first, those that fail a gate last."""
    ranking = report.comparison.ranking if report.comparison else ()
    keys = [*ranking, *(key for key in report.models if key not in ranking)]
    keys.sort(key=lambda key: report.models[key].fails_gate)
    return [(key, report.models[key]) for key in keys]


def winner(report: Report) -> str | None:
    return report.comparison.verdict.winner if report.comparison else None


def runner_up(report: Report) -> str | None:
    """The best of those that are not the best guess and pass the gates; None where there is no other one."""
    pick = report.comparison.verdict.pick if report.comparison else None
    rest = [key for key, model in in_order(report) if key != pick and not model.fails_gate]
    return rest[0] if pick and rest else None


def details(report: Report) -> list[str]:
    """The figures that the decision rests on."""
    text = clean(report.comparison.verdict.details, 2000) if report.comparison else ""
    return [text] if text else []


# -------------------------------------------------------------------------------------------------- the table


def header(report: Report) -> list[str]:
    return [
        "Model",
        "Group",
        "Does what you ask · your own messages",
        "Quality (95 % interval)",
        "Reply, p50",
        "Tokens/s",
        "Complete replies",
        "Peak memory",
        left_of_memory(report),
        "Licence",
        "Marks",
    ]


def left_of_memory(report: Report) -> str:
    """ "Left of 8 GB", of the memory of the machine that ran it."""
    return "Left" if report.memory_mb is None else f"Left of {report.memory_mb / 1024:.0f} GB"


def left_mb(report: Report, peak: float | None) -> float | None:
    """What a model's peak leaves of the machine's memory."""
    return None if peak is None or report.memory_mb is None else report.memory_mb - peak


def rows(report: Report) -> list[list[str]]:
    """One line per model, as `header`."""
    groups = report.comparison.groups if report.comparison else {}
    return [_cells(report, key, model, clean(groups.get(key), 8) or "–") for key, model in in_order(report)]


def _cells(report: Report, key: str, model: ModelDocument, group: str) -> list[str]:
    stats, peak = model.stats, peak_mb(model.stats)
    return [
        name(report, key),
        group,
        f"{_short(stats.instructions)} · {_short(stats.own_turns)}",
        interval(stats.shared_quality, stats.shared_quality_ci),
        seconds(stats.shared_p50_ms),
        number(stats.tokens_per_second, 1),
        complete(stats),
        _memory(peak),
        _memory(left_mb(report, peak)),
        clean(model.info.get("licence") or "not stated", 40),
        "; ".join(marks(report, key, model)) or "–",
    ]


def seconds(value_ms: float | None) -> str:
    return NOT_MEASURED if value_ms is None else f"{value_ms / 1000:.2f} s"


def interval(mean: float | None, ends: Sequence[float] | None) -> str:
    """0.81 (0.70 to 0.92)."""
    return number(mean) + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if mean is not None and ends else "")


def _short(figures: MeasureFigures) -> str:
    return "–" if figures.value is None else f"{figures.value:.2f}"


def complete(stats: ModelFigures) -> str:
    """13 of 13 (77 to 100 %)."""
    text = f"{stats.successes} of {stats.total_tests}"
    ends = stats.success_rate_ci
    return text + (f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f} %)" if ends else "")


def peak_mb(stats: ModelFigures) -> float | None:
    """The most memory that a model took writing one reply at a time, in MB: of MLX, else of its whole process."""
    return stats.process_peak_mb if stats.peak_memory_mb is None else stats.peak_memory_mb


def marks(report: Report, key: str, model: ModelDocument) -> list[str]:
    """What a reader has to know about a model before its figures, in words."""
    marks = ["winner"] * (winner(report) == key)
    marks += ["in use"] * (report.comparison is not None and report.comparison.verdict.present == key)
    marks += [f"fails a gate: {clean(reason, 160)}" for reason in model.gates]
    if model.stats.common and is_behind(model.stats):
        marks.append(f"on {model.stats.common.answered} of {model.stats.common.asked} prompts")
    if model.dropped:
        marks.append(f"dropped after round {model.rounds}: {clean(model.dropped, 160)}")
    if leaks := sum(bool(reply.thinking) for reply in model.generations):
        marks.append(f"think leak in {leaks} of {len(model.generations)} replies")
    first, middle = model.stats.first_reply_ms, model.stats.p50_latency_ms
    if first and middle and first > COLD * middle:
        marks.append(f"slow cold start: first reply {seconds(first)}")
    if model.info.get("chat_template") is False:
        marks.append("plain prompt: it has no chat template")
    return marks


def is_behind(stats: ModelFigures) -> bool:
    """Whether a model answered fewer prompts than there were."""
    return stats.common is not None and stats.common.answered < stats.common.asked


# ------------------------------------------------------------------------------------------------- the metrics


def _long(figures: MetricFigures) -> str:
    """0.81 (0.70 to 0.92; n = 65 in 5 clusters)."""
    if figures.mean is None:
        return NOT_MEASURED
    ends = f"{figures.ci[0]:.2f} to {figures.ci[1]:.2f}; " if figures.ci else ""
    return f"{number(figures.mean)} ({ends}n = {figures.n:,} in {figures.clusters} clusters)"


def metric_rows(report: Report) -> list[list[str]]:
    """Every metric on its own, as METRIC_HEADER."""
    return [
        [name(report, key), *(_long(model.stats.metrics[metric]) for metric in (*METRICS, BITS))]
        for key, model in in_order(report)
    ]


def metric_notes(report: Report) -> list[str]:
    """How to read the metrics, one sentence each."""
    notes = [
        "Checks: share of the general yes/no checks that a reply passes, times the share of those of its instruction; "
        "a failed reply counts 0. Real turns have no instruction, so general checks alone."
    ]
    reached = _on_scale(report, "style", ceiling="your own other half gets", floor="other people")
    notes.append(f"Style: how much a reply looks like yours{reached}.")
    reached = _on_scale(report, "meaning", random="another reply of yours, drawn at random, gets")
    notes.append(f"Meaning: nearness to what you really answered{reached}.")
    notes += [
        f"Two numbers make the quality, by the weights {_measures(report)}, the same in every round and every night: "
        "does what you ask (the prompts of the scenarios), and your own messages (turns of your history). Where the "
        "second was not measured, quality is the first alone.",
        "Your own messages: whether all replies of a model to them fit what came in and sound like you together. Style "
        "and meaning are shown beside it and do not count.",
    ]
    notes.append(
        "Bits per character: how surprising your real answers are to the model, fewer is better; it is shown and "
        "never part of the sum."
    )
    return notes


def _on_scale(report: Report, metric: str, **people: str) -> str:
    """ "; on this scale your own other half gets 0.71, other people 0.40"; "" where that was not stored."""
    references = _references(report).get(metric, {})
    scaled = {name: reference.scaled.value for name, reference in references.items() if reference.scaled}
    told = [f"{words} {scaled[name]:.2f}" for name, words in people.items() if name in scaled]
    return f"; on this scale {', '.join(told)}" if told else ""


def _references(report: Report) -> Mapping[str, Mapping[str, Reference]]:
    return report.comparison.references if report.comparison else {}


def _measures(report: Report) -> str:
    weights = report.rules.measures
    return f"{weights.instructions:g} and {weights.own_turns:g}"


def reference_rows(report: Report) -> list[list[str]]:
    """What people reach on the same metrics, as REFERENCE_HEADER."""
    return [
        [
            f"{clean(metric, 40)}: {clean(key, 40)}",
            _reference(reference.scaled),
            _reference(reference.raw),
            f"{reference.n:,}",
            _REFERENCES.get(key, clean(key, 40)),
        ]
        for metric, references in _references(report).items()
        for key, reference in references.items()
    ]


def _reference(value: ReferenceValue | None) -> str:
    if value is None:
        return NOT_MEASURED
    ends = None if value.low is None or value.high is None else [value.low, value.high]
    return interval(value.value, ends)


# -------------------------------------------------------------------------------------------- speed and memory


def speed_rows(report: Report) -> list[list[str]]:
    """Every measure of time, as SPEED_HEADER."""
    return [_speed(report, key, model) for key, model in in_order(report)]


def _speed(report: Report, key: str, model: ModelDocument) -> list[str]:
    stats, p95 = model.stats, model.stats.p95_latency_ms
    return [
        name(report, key),
        milliseconds(stats.p50_latency_ms),
        milliseconds(p95) if p95 is not None else "n below 20",
        milliseconds(stats.max_latency_ms),
        milliseconds(stats.p50_ttft_ms),
        milliseconds(stats.inter_token_ms),
        number(stats.characters_per_second, 0),
        milliseconds(stats.first_reply_ms),
        duration(model.load_time_s) if model.load_time_s is not None else NOT_MEASURED,
    ]


@dataclass(frozen=True)
class MemoryParts:
    """A model's peak in parts, in MB; None where a part was not measured."""

    name: str
    weights_mb: float | None
    working_mb: float | None
    left_mb: float | None
    peak_mb: float | None
    process_mb: float | None  #: peak of the whole process as the system counts it, batches included


def memory_header(report: Report) -> list[str]:
    return ["Model", "Weights", "At work", "Peak", left_of_memory(report), "Whole process"]


def memory_parts(report: Report) -> list[MemoryParts]:
    """Each model's peak: its weights, what writing replies added, what the machine has left."""
    parts = []
    for key, model in in_order(report):
        peak, weights = peak_mb(model.stats), _weights_mb(report, key, model)
        working = None if peak is None or weights is None else max(0.0, peak - weights)
        left, process = left_mb(report, peak), model.stats.process_peak_mb
        parts.append(MemoryParts(name(report, key), weights, working, left, peak, process))
    return parts


def _weights_mb(report: Report, key: str, model: ModelDocument) -> float | None:
    """Memory of the loaded weights; in a run that did not store it, the least peak of a loading."""
    if model.weights_mb is not None:
        return model.weights_mb
    peaks = [row.load_peak_mb for row in report.loads if row.model == key and row.load_peak_mb is not None]
    return min(peaks, default=None)


def memory_rows(report: Report) -> list[list[str]]:
    """The same as text, as `memory_header`."""
    return [
        [row.name, *map(_memory, (row.weights_mb, row.working_mb, row.peak_mb, row.left_mb, row.process_mb))]
        for row in memory_parts(report)
    ]


def _memory(value: float | None) -> str:
    return NOT_MEASURED if value is None else megabytes(value)


# ------------------------------------------------------------------------------------------------- every pair


def pair_rows(report: Report) -> list[list[str]]:
    """Every pair's paired difference and what chance says of it, as PAIR_HEADER."""
    return [
        [
            f"{name(report, pair.first)} less {name(report, pair.second)}",
            difference(pair),
            chance(pair.p),
            chance(pair.p_holm),
            f"{pair.prompts} prompts in {pair.clusters} scenarios and conversations",
        ]
        for pair in (report.comparison.pairs if report.comparison else ())
    ]


def difference(row: PairDocument | Difference) -> str:
    """+0.12 (0.03 to 0.21)."""
    value, ends = row.difference, row.ci
    if value is None:
        return "nothing in common"
    return f"{value:+.2f}" + (f" ({end(ends[0], '+')} to {end(ends[1], '+')})" if ends else "")


def end(value: float, sign: str = "") -> str:
    """The end of an interval with two decimals, and with more where it would look like 0 and is not."""
    text = f"{value:{sign}.2f}"
    return f"{value:{sign}.1g}" if value and not float(text) else text


def chance(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def standing_notes(report: Report) -> list[str]:
    """What orders the models that quality does not separate, and for which weights."""
    comparison = report.comparison
    if comparison is None:
        return []
    notes = ["Models that share a letter are not separated by quality."] * bool(comparison.groups)
    if any(is_behind(model.stats) for model in report.models.values()):
        notes.append(
            "Where a model answered fewer prompts, the others tell how hard the rest was, and its p50 is the leader's "
            "times their ratio on the prompts that both answered."
        )
    if stability := comparison.stability:
        first = comparison.verdict.pick or comparison.verdict.winner or comparison.verdict.tied[0]
        notes.append(
            f"{name(report, first)} stays first for a {stability.weight} weight of "
            f"{100 * stability.low:.0f} to {100 * stability.high:.0f} %."
        )
    return notes
