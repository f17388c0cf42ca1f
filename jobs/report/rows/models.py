"""The rows about models: who leads, what quality is made of, marks, memory, speed, and every pair's difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.lib.comparison.document import ModelDocument
from jobs.lib.comparison.scores import ModelFigures
from jobs.lib.comparison.two_measures import MeasureFigures
from jobs.lib.results.tables import CANNED
from jobs.report.escape import NOT_MEASURED, clean, duration, megabytes, milliseconds, number
from jobs.report.gather import Report

COLD = 2  #: a first reply that takes so many times the median counts as a slow start

NUMERIC = (1, 5, 7, 8)
SPEED_HEADER = [
    "Model",
    "p50",
    "p95",
    "Slowest",
    "First token",
    "Between tokens",
    "Tokens/s",
    "Characters/s",
    "First reply",
    "Load",
]

#: Rows of the table of models that are none: reference -> what it is called.
REFERENCE_NAMES = {
    CANNED: "A canned reply to everything",
    "another": "Another real reply of yours",
    "real": "Your real reply",
}
#: The mark of such a row.
REFERENCE_MARK = "for comparison, no model"


def name(report: Report, key: str) -> str:
    """A model's name as people know it, not escaped."""
    model = report.models.get(key)
    return clean(model.name, 80) if model else clean(key, 80)


def in_order(report: Report) -> list[tuple[str, ModelDocument]]:
    """The models by their rank: the best guess first, those that fail a gate last."""
    ranking = report.comparison.ranking if report.comparison else ()
    keys = [*ranking, *(key for key in report.models if key not in ranking)]
    keys.sort(key=lambda key: (report.models[key].fails_gate, key != pick(report)))
    return [(key, report.models[key]) for key in keys]


def winner(report: Report) -> str | None:
    return report.comparison.verdict.winner if report.comparison else None


def pick(report: Report) -> str | None:
    """The best guess."""
    return report.comparison.verdict.pick if report.comparison else None


def runner_up(report: Report) -> str | None:
    """The best of those that are not the best guess and pass the gates; None where there is no other one.

    Where votes count, that is the one that the best guess was compared with.
    """
    best, rival = pick(report), report.comparison.verdict.rival if report.comparison else None
    if rival is not None and not report.models[rival].fails_gate:
        return rival
    rest = [key for key, model in in_order(report) if key != best and not model.fails_gate]
    return rest[0] if best and rest else None


# -------------------------------------------------------------------------------------------------- the table


def header(report: Report) -> list[str]:
    return [
        "Model",
        "Chance to be the best",
        "Does what you ask",
        "Your own messages",
        "Quality (95 % interval)",
        "Typical reply",
        "Complete replies",
        "Peak memory",
        left_of_memory(report),
        "Marks",
    ]


def left_of_memory(report: Report) -> str:
    """ "Left of 8 GB", of the memory of the machine that ran it."""
    return "Left" if report.memory_mb is None else f"Left of {report.memory_mb / 1024:.0f} GB"


def left_mb(report: Report, peak: float | None) -> float | None:
    """What a model's peak leaves of the machine's memory."""
    return None if peak is None or report.memory_mb is None else report.memory_mb - peak


def rows(report: Report) -> list[list[str]]:
    """One line per model, then one per reference, as `header`."""
    return [_cells(report, key, model) for key, model in in_order(report)] + reference_figure_rows(report)


def _cells(report: Report, key: str, model: ModelDocument) -> list[str]:
    stats, peak = model.stats, peak_mb(model.stats)
    return [
        name(report, key),
        _of_100(None if model.fails_gate else stats.p_best),
        _measure(stats.instructions, "prompt"),
        _measure(stats.own_turns, "conversation"),
        interval(stats.shared_quality, stats.shared_quality_ci),
        seconds(stats.shared_p50_ms),
        complete(stats),
        _memory(peak),
        _memory(left_mb(report, peak)),
        "; ".join(marks(report, key, model)) or "–",
    ]


def reference_figure_rows(report: Report) -> list[list[str]]:
    """What a canned reply and the owner's real ones reach on the two measures, as `header`."""
    figures = report.comparison.reference_figures if report.comparison else {}
    return [_reference_cells(report, key, figures[key]) for key in REFERENCE_NAMES if key in figures]


def _reference_cells(report: Report, key: str, figures: Mapping[str, MeasureFigures]) -> list[str]:
    empty = MeasureFigures(value=None, ci=None, n=0)
    asked = _measure(figures.get("instructions", empty), "prompt")
    own = _measure(figures.get("own_turns", empty), "conversation")
    rest = len(header(report)) - 5
    return [REFERENCE_NAMES[key], "–", asked, own, *["–"] * rest, REFERENCE_MARK]


def _of_100(chance: float | None) -> str:
    """ "72 of 100"."""
    if chance is None:
        return "–"
    return "under 1 of 100" if chance < 0.005 else f"{100 * min(chance, 0.99):.0f} of 100"


def _measure(figures: MeasureFigures, unit: str) -> str:
    """0.94 (0.91 to 0.96, 13 prompts)."""
    if figures.value is None:
        return "–"
    ends = f"{figures.ci[0]:.2f} to {figures.ci[1]:.2f}, " if figures.ci else ""
    return f"{figures.value:.2f} ({ends}{figures.n:,} {unit}{'s' * (figures.n != 1)})"


def seconds(value_ms: float | None) -> str:
    return NOT_MEASURED if value_ms is None else f"{value_ms / 1000:.2f} s"


def interval(mean: float | None, ends: Sequence[float] | None) -> str:
    """0.81 (0.70 to 0.92)."""
    return number(mean) + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if mean is not None and ends else "")


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
    marks = [of_winner(report)] * (winner(report) == key)
    marks += ["best guess"] * (winner(report) is None and pick(report) == key and not model.gates)
    marks += ["in use"] * (report.comparison is not None and report.comparison.verdict.present == key)
    marks += [f"misses a limit: {clean(reason, 160)}" for reason in model.gates]
    if model.stats.common and is_behind(model.stats):
        marks.append(f"on {model.stats.common.answered} of {model.stats.common.asked} prompts")
    if model.dropped:
        marks.append(f"not asked after round {model.rounds}: {clean(model.dropped, 160)}")
    if leaks := sum(bool(reply.thinking) for reply in model.generations):
        marks.append(f"thinks aloud in {leaks} of {len(model.generations)} replies")
    first, middle = model.stats.first_reply_ms, model.stats.p50_latency_ms
    if first and middle and first > COLD * middle:
        marks.append(f"slow cold start: first reply {seconds(first)}")
    if model.info.get("chat_template") is False:
        marks.append("plain prompt: it has no chat template")
    return marks


def of_winner(report: Report) -> str:
    """The mark of the model that is better than each other one."""
    recommended = report.comparison is not None and report.comparison.verdict.recommended
    return "winner" if recommended else "best of these, but no better than a canned reply"


def is_behind(stats: ModelFigures) -> bool:
    """Whether a model answered fewer prompts than there were."""
    return stats.common is not None and stats.common.answered < stats.common.asked


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
        number(stats.tokens_per_second, 1),
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


def standing_notes(report: Report) -> list[str]:
    """How models that ran on several machines are compared, and those that answered fewer prompts."""
    notes = [_where_they_ran(report)] if report.is_spread else []
    if not any(is_behind(model.stats) for model in report.models.values()):
        return notes
    return [
        *notes,
        "Where a model answered fewer prompts, the others tell how hard the rest was, and its typical time is the "
        "leader's times their ratio on the prompts that both answered.",
    ]


def _where_they_ran(report: Report) -> str:
    ran = (f"{name(report, key)} on {clean(model.machine or 'an unknown one', 40)}" for key, model in in_order(report))
    told = "The models ran on several Macs, so quality alone ranks them and their times are not compared"
    return f"{told}: {', '.join(ran)}."
