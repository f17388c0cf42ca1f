"""The rows about models: who leads, what quality is made of, marks, memory, speed, and every pair's difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib.comparison import adjusted
from jobs.report.escape import NOT_MEASURED, clean, duration, megabytes, milliseconds, number
from jobs.report.gather import Report

WHOLE_MB = 8192  #: the memory of the smallest Mac that this is for
COLD = 2  #: a first reply that takes so many times the median counts as a slow start

HEADER = [
    "Model",
    "Group",
    "Checks · style · meaning",
    "Quality (95 % interval)",
    "Reply, p50",
    "Tokens/s",
    "Usable replies",
    "Peak memory",
    "Left of 8 GB",
    "Licence",
    "Marks",
]
NUMERIC = (4, 5, 7, 8)
LAYERS = ("checks", "style", "meaning")
LAYER_HEADER = ["Model", "Checks", "Style", "Meaning", "Bits per character"]
YARDSTICK_HEADER = ["Yardstick", "As a reply is scored", "Before scaling", "n", "What it is"]
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
PAIR_HEADER = ["Pair", "Difference in quality (95 % interval)", "p", "p (Holm)", "p (sign flips)", "On"]

_YARDSTICKS = {
    "ceiling": "the other half of your own messages",
    "floor": "messages of other people",
    "random": "another reply of yours from before the cut, drawn at random",
}


def name(report: Report, key: str) -> str:
    """A model's name as people know it, not escaped."""
    model = report.models.get(key)
    return clean(model["info"]["name"], 80) if model else clean(key, 80)


def in_order(report: Report) -> list[tuple[str, Mapping[str, Any]]]:
    """The models by their standing where the run has one: the leader first, gated ones last."""
    ranking = (report.comparison or {}).get("ranking") or []
    keys = [key for key in ranking if key in report.models]
    keys += [key for key in report.models if key not in keys]
    keys.sort(key=lambda key: bool(report.models[key].get("gates")))
    return [(key, report.models[key]) for key in keys]


def verdict(report: Report) -> Mapping[str, Any]:
    return (report.comparison or {}).get("verdict") or {}


def runner_up(report: Report) -> str | None:
    """The best of those that did not win and passed the gates; None without a winner or another one."""
    winner = verdict(report).get("winner")
    rest = [key for key, model in in_order(report) if key != winner and not model.get("gates")]
    ranked = bool((report.comparison or {}).get("ranking"))
    if not winner or not rest:
        return None
    return rest[0] if ranked else max(rest, key=lambda key: report.models[key]["stats"].get("quality") or 0)


# -------------------------------------------------------------------------------------------------- the table


def rows(report: Report) -> list[list[str]]:
    """One line a model, as HEADER."""
    groups = (report.comparison or {}).get("groups") or {}
    return [_cells(report, key, model, clean(groups.get(key), 8) or "–") for key, model in in_order(report)]


def _cells(report: Report, key: str, model: Mapping[str, Any], group: str) -> list[str]:
    stats, peak, shared = model["stats"], peak_mb(model["stats"]), adjusted.with_adjusted(model["stats"])
    return [
        name(report, key),
        group,
        " · ".join(_short(layer(stats, which)) for which in LAYERS),
        interval(shared.get("quality"), shared.get("quality_ci")),
        seconds(shared.get("p50_latency_ms")),
        number(stats.get("tokens_per_second"), 1),
        usable(stats),
        megabytes(peak) if peak is not None else NOT_MEASURED,
        megabytes(WHOLE_MB - peak) if peak is not None else NOT_MEASURED,
        clean(model["info"].get("licence") or "not stated", 40),
        "; ".join(marks(report, key, model)) or "–",
    ]


def seconds(value_ms: float | None) -> str:
    return NOT_MEASURED if value_ms is None else f"{value_ms / 1000:.2f} s"


def interval(mean: float | None, ends: Sequence[float] | None) -> str:
    """0.81 (0.70 to 0.92)."""
    return number(mean) + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if mean is not None and ends else "")


def usable(stats: Mapping[str, Any]) -> str:
    """13 of 13 (77 to 100 %)."""
    text = f"{stats.get('successes', 0)} of {stats.get('total_tests', 0)}"
    ends = stats.get("success_rate_ci")
    return text + (f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f} %)" if ends else "")


def peak_mb(stats: Mapping[str, Any]) -> float | None:
    """The most memory that a model took writing one reply at a time, in MB: of MLX, else of its whole process."""
    peak = stats.get("peak_memory_mb")
    found: float | None = stats.get("process_peak_mb") if peak is None else peak
    return found


def marks(report: Report, key: str, model: Mapping[str, Any]) -> list[str]:
    """What a reader has to know about a model before its figures, in words."""
    stats, found = model["stats"], []
    if verdict(report).get("winner") == key:
        found.append("winner")
    found += [f"gated: {clean(reason, 160)}" for reason in model.get("gates") or ()]
    if is_behind(stats):
        found.append(f"on {stats['common']['answered']} of {stats['common']['asked']} prompts")
    if model.get("dropped"):
        found.append(f"dropped after round {model.get('rounds') or '?'}: {clean(model['dropped'], 160)}")
    if leaks := sum(bool(said.get("thinking")) for said in model["generations"]):
        found.append(f"think leak in {leaks} of {len(model['generations'])} replies")
    first, middle = stats.get("first_reply_ms"), stats.get("p50_latency_ms")
    if first and middle and first > COLD * middle:
        found.append(f"slow cold start: first reply {seconds(first)}")
    if model["info"].get("chat_template") is False:
        found.append("plain prompt: it has no chat template")
    return found


def is_behind(stats: Mapping[str, Any]) -> bool:
    """Whether a model answered fewer prompts than there were."""
    common = stats.get("common") or {"answered": 0, "asked": 0}
    return bool(common["answered"] < common["asked"])


# -------------------------------------------------------------------------------------------------- the layers


def layer(stats: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    """What one layer measured of one model; a document without layers knows the checks alone."""
    found = stats.get("layers")
    if found is None and which == "checks":
        return {"mean": stats.get("quality"), "ci": stats.get("quality_ci"), "clusters": stats.get("quality_clusters")}
    return (found or {}).get(which) or {}


def _short(part: Mapping[str, Any]) -> str:
    mean = part.get("mean")
    return "–" if mean is None else f"{mean:.2f}"


def _long(part: Mapping[str, Any]) -> str:
    """0.81 (0.70 to 0.92; n = 65 in 5 clusters)."""
    if part.get("mean") is None:
        return NOT_MEASURED
    ends, n, clusters = part.get("ci"), part.get("n"), part.get("clusters")
    on = " in ".join(text for text in (f"n = {n:,}" if n else "", f"{clusters} clusters" if clusters else "") if text)
    inside = "; ".join(text for text in (f"{ends[0]:.2f} to {ends[1]:.2f}" if ends else "", on) if text)
    return number(part["mean"]) + (f" ({inside})" if inside else "")


def layer_rows(report: Report) -> list[list[str]]:
    """Every layer on its own, as LAYER_HEADER."""
    return [
        [name(report, key), *(_long(layer(model["stats"], which)) for which in (*LAYERS, "bits_per_character"))]
        for key, model in in_order(report)
    ]


def layer_notes(report: Report) -> list[str]:
    """How to read the layers, a sentence each; those that nobody measured are left out."""
    measured = {which for _, model in in_order(report) for which in LAYERS if layer(model["stats"], which)}
    notes = [
        "Checks: share of the general yes/no checks that a reply passes, times the share of those of its instruction; "
        "a failed reply counts 0. Real turns have no instruction, so general checks alone."
    ]
    if "style" in measured:
        reached = _on_scale(report, "style", ceiling="your own other half gets", floor="other people")
        notes.append(f"Style: how much a reply looks like yours{reached}.")
    if "meaning" in measured:
        reached = _on_scale(report, "meaning", random="another reply of yours, drawn at random, gets")
        notes.append(f"Meaning: nearness to what you really answered{reached}.")
    notes.append(
        f"Quality together weighs {_weighing(report)}, over the layers that every usable reply to a prompt has."
    )
    notes.append(
        "Bits per character: how surprising your real answers are to the model, fewer is better; it is shown and "
        "never part of the sum."
    )
    return notes


def _on_scale(report: Report, which: str, **people: str) -> str:
    """ "; on this scale your own other half gets 0.71, other people 0.40"; "" where that was not stored."""
    scaled = {
        what: row["scaled"]["value"] for what, row in _yardsticks(report).get(which, {}).items() if "scaled" in row
    }
    told = [f"{who} {scaled[what]:.2f}" for what, who in people.items() if what in scaled]
    return f"; on this scale {', '.join(told)}" if told else ""


def _yardsticks(report: Report) -> Mapping[str, Any]:
    return (report.comparison or {}).get("yardsticks") or {}


def _weighing(report: Report) -> str:
    weights = report.rules.get("layers") or {}
    known = [f"{which} {weights[which]:g}" for which in LAYERS if isinstance(weights.get(which), (int, float))]
    return ", ".join(known) or "the checks alone"


def yardstick_rows(report: Report) -> list[list[str]]:
    """What people reach on the same measures, as YARDSTICK_HEADER."""
    return [
        [
            f"{clean(which, 40)}: {clean(what, 40)}",
            interval(row.get("scaled", {}).get("value"), _ends(row.get("scaled", {}))),
            interval(row.get("value"), _ends(row)),
            f"{row.get('n') or 0:,}",
            _YARDSTICKS.get(what, clean(what, 40)),
        ]
        for which, rows_ in _yardsticks(report).items()
        for what, row in rows_.items()
    ]


def _ends(row: Mapping[str, Any]) -> list[float] | None:
    low, high = row.get("low"), row.get("high")
    return None if low is None or high is None else [low, high]


# -------------------------------------------------------------------------------------------- speed and memory


def speed_rows(report: Report) -> list[list[str]]:
    """Every measure of time, as SPEED_HEADER."""
    return [_speed(report, key, model) for key, model in in_order(report)]


def _speed(report: Report, key: str, model: Mapping[str, Any]) -> list[str]:
    stats = model["stats"]
    p95 = stats.get("p95_latency_ms")
    return [
        name(report, key),
        milliseconds(stats.get("p50_latency_ms")),
        milliseconds(p95) if p95 is not None else "n below 20",
        milliseconds(stats.get("max_latency_ms")),
        milliseconds(stats.get("p50_ttft_ms")),
        milliseconds(stats.get("inter_token_ms")),
        number(stats.get("characters_per_second"), 0),
        milliseconds(stats.get("first_reply_ms")),
        duration(model["load_time_s"]) if model.get("load_time_s") is not None else NOT_MEASURED,
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


MEMORY_HEADER = ["Model", "Weights", "At work", "Peak", "Left of 8 GB", "Whole process"]


def memory_parts(report: Report) -> list[MemoryParts]:
    """Each model's peak: its weights, what writing replies added, what 8 GB leave."""
    found = []
    for key, model in in_order(report):
        peak, weights = peak_mb(model["stats"]), _weights_mb(report, key, model)
        working = None if peak is None or weights is None else max(0.0, peak - weights)
        left = None if peak is None else WHOLE_MB - peak
        found.append(
            MemoryParts(name(report, key), weights, working, left, peak, model["stats"].get("process_peak_mb"))
        )
    return found


def _weights_mb(report: Report, key: str, model: Mapping[str, Any]) -> float | None:
    """Memory of the loaded weights; in a run that did not store it, the least peak of a loading."""
    if isinstance(stored := model["info"].get("weights_mb"), (int, float)):
        return float(stored)
    peaks = [row["load_peak_mb"] for row in report.loadings if row["model"] == key and row["load_peak_mb"] is not None]
    return min(peaks, default=None)


def memory_rows(report: Report) -> list[list[str]]:
    """The same as text, as MEMORY_HEADER."""
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
            f"{name(report, row['first'])} less {name(report, row['second'])}",
            difference(row),
            chance(row.get("p")),
            chance(row.get("p_holm")),
            chance(row.get("p_sign_flip")) + _least(row.get("p_sign_flip_min")),
            f"{row.get('prompts') or 0} prompts in {row.get('clusters') or 0} clusters",
        ]
        for row in (report.comparison or {}).get("pairs") or []
    ]


def difference(row: Mapping[str, Any]) -> str:
    """+0.12 (0.03 to 0.21)."""
    value, ends = row.get("difference"), row.get("ci")
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


def _least(value: float | None) -> str:
    return f" (at least {chance(value)} with so few)" if value is not None and value > 0.05 else ""


def standing_notes(report: Report) -> list[str]:
    """What orders the models that quality does not separate, and what would settle a tie."""
    found = []
    if (report.comparison or {}).get("groups"):
        found.append("Models that share a letter are not separated by quality.")
    if any(is_behind(model["stats"]) for model in report.models.values()):
        found.append(
            "Where a model answered fewer prompts, its quality is the leader's plus their paired difference, and its "
            "p50 the leader's times their ratio, on the prompts that both answered."
        )
    stability = (report.comparison or {}).get("stability")
    if stability and report.models:
        leader = verdict(report).get("winner") or [*(verdict(report).get("tied") or []), in_order(report)[0][0]][0]
        found.append(
            f"{name(report, leader)} stays first for a {clean(stability.get('weight') or 'speed', 20)} weight of "
            f"{100 * (stability.get('from') or 0):.0f} to {100 * (stability.get('to') or 0):.0f} %."
        )
    return found
