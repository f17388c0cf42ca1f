"""The rows about quality: its two measures, and the metrics that are shown beside them and do not count."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.lib.comparison.document import Reference, ReferenceValue
from jobs.lib.comparison.scores import BITS, MetricFigures
from jobs.report.escape import NOT_MEASURED, clean, number
from jobs.report.gather import Report
from jobs.report.rows.models import in_order, interval, name

METRICS = ("checks", "style", "meaning")
METRIC_HEADER = ["Model", "Checks", "Style", "Meaning", "Bits per character"]
REFERENCE_HEADER = ["Reference", "As a reply is scored", "Before scaling", "n", "What it is"]
_REFERENCES = {
    "ceiling": "the other half of your own messages",
    "floor": "messages of other people",
    "canned": "the best of a few canned replies to everything",
    "random": "another reply of yours from before the split, drawn at random",
}


def _long(figures: MetricFigures) -> str:
    """0.81 (0.70 to 0.92; 65 replies to 5 scenarios or conversations)."""
    if figures.mean is None:
        return NOT_MEASURED
    ends = f"{figures.ci[0]:.2f} to {figures.ci[1]:.2f}; " if figures.ci else ""
    return f"{number(figures.mean)} ({ends}{figures.n:,} replies to {figures.clusters} scenarios or conversations)"


def metric_rows(report: Report) -> list[list[str]]:
    """Every metric on its own, as METRIC_HEADER."""
    return [
        [name(report, key), *(_long(model.stats.metrics[metric]) for metric in (*METRICS, BITS))]
        for key, model in in_order(report)
    ]


def measure_notes(report: Report) -> list[str]:
    """What the two numbers of quality are, one sentence each."""
    figures = [model.stats for _, model in in_order(report)]
    prompts = max((stats.instructions.n for stats in figures), default=0)
    conversations = max((stats.own_turns.n for stats in figures), default=0)
    notes = [
        f"Does what you ask: how well the replies to the {prompts} prompts of the scenarios do what was asked. 1 is "
        "always, 0 is never; a reply that is not complete counts 0."
    ]
    if conversations:
        notes.append(
            f"Your own messages: whether the replies to turns of {conversations} of your conversations fit what came "
            "in, and sound like you when they are read together. 1 is as you do."
        )
    return [*notes, _weighing(report, conversations)]


def _weighing(report: Report, conversations: int) -> str:
    if not conversations:
        return "Your own messages were not asked for, or could not be measured: quality is the first number alone."
    return f"Quality weighs the two by {_measures(report)}, the same in every round and every night."


def metric_notes(report: Report) -> list[str]:
    """How to read the metrics that do not count, one sentence each."""
    notes = [
        "Checks: share of the general yes/no checks that a reply passes, times the share of those of its instruction. "
        "Real turns have no instruction, so general checks alone."
    ]
    reached = _on_scale(report, "style", ceiling="your own other half gets", floor="other people")
    notes.append(f"Style: mostly whether a reply skips capitals and full stops as you do{reached}.")
    reached = _on_scale(report, "meaning", random="another reply of yours, drawn at random, gets")
    notes.append(f"Meaning: nearness to what you really answered; it does not see a negation{reached}.")
    notes.append("Bits per character: how surprising your real answers are to the model, fewer is better.")
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
    weights = report.rules.in_force.measures
    return f"{weights['instructions']:g} and {weights['own_turns']:g}"


def reference_rows(report: Report) -> list[list[str]]:
    """What people and a canned reply reach on the same metrics, as REFERENCE_HEADER.

    What they reach on the two measures stands in the table of models.
    """
    return [
        [
            f"{clean(metric, 40)}: {clean(key, 40)}",
            _reference(reference.scaled),
            _reference(reference.raw),
            f"{reference.n:,}",
            _REFERENCES.get(key, clean(key, 40)),
        ]
        for metric, references in _references(report).items()
        if metric in METRICS
        for key, reference in references.items()
    ]


def _reference(value: ReferenceValue | None) -> str:
    if value is None:
        return NOT_MEASURED
    ends = None if value.low is None or value.high is None else [value.low, value.high]
    return interval(value.value, ends)
