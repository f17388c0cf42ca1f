"""The rows of the appendix about pairs of models: differences in quality, and which models are told apart."""

from __future__ import annotations

from jobs.lib.comparison.document import Difference, PairDocument
from jobs.report.escape import NOT_MEASURED, clean
from jobs.report.gather import Report
from jobs.report.rows.models import in_order, name

PAIR_HEADER = ["Pair", "Difference in quality (95 % interval)", "p", "p (Holm)", "On"]
GROUP_HEADER = ["Model", "Group", "Order by the weights of the plan"]


def details(report: Report) -> list[str]:
    """The figures that the decision rests on."""
    text = clean(report.comparison.verdict.details, 2000) if report.comparison else ""
    return [text] if text else []


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


def group_rows(report: Report) -> list[list[str]]:
    """The letters of each model and its place by the plan's weights, as GROUP_HEADER; none without letters."""
    comparison = report.comparison
    if comparison is None or not comparison.groups:
        return []
    order = {key: f"{place}." for place, key in enumerate(comparison.by_weights, start=1)}
    keys = [key for key, _ in in_order(report) if key in comparison.groups]
    return [[name(report, key), clean(comparison.groups[key], 8), order.get(key, "–")] for key in keys]


def group_notes(report: Report) -> list[str]:
    """How to read the letters, what the plan weighs, and for which weights the first stays first."""
    comparison = report.comparison
    if comparison is None or not comparison.groups:
        return []
    weights = report.rules.weights
    letters = "Models that share a letter are not told apart by quality."
    if report.is_spread:
        return [letters]
    notes = [
        letters,
        f"Weights of the plan: quality {weights.quality:g}, speed {weights.speed:g}, memory {weights.memory:g}.",
    ]
    if (stability := comparison.stability) and comparison.by_weights:
        low, high = 100 * stability.low, 100 * stability.high
        first = name(report, comparison.verdict.winner or comparison.by_weights[0])
        notes.append(f"{first} stays first for a weight of {stability.weight} of {low:.0f} to {high:.0f} %.")
    return notes
