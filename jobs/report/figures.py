"""The rows that both renderings show: strings ready to be escaped, each saying what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.report.gather import JobLine, Report
from jobs.report.text import NOT_MEASURED, clean, count, duration, megabytes, milliseconds, number, percent

#: Templates that the page shows; templates.json has them all.
SHOWN_TEMPLATES = 40


@dataclass(frozen=True)
class Contrast:
    """A line of "old against new": what, before, now, and the definitions that differ."""

    what: str
    before: str
    now: str
    note: str


def job_cells(job: JobLine) -> list[str]:
    """Job, status, time, memory, reason."""
    attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    time = duration(job.duration_s) + (attempt if job.duration_s is not None else "")
    return [clean(job.name, 80), job.status, time, megabytes(job.peak_memory_mb), clean(job.reason)]


def template_lines(report: Report) -> list[Mapping[str, Any]]:
    """The templates by frequency, at most SHOWN_TEMPLATES."""
    found = report.templates["templates"] if report.templates else []
    return sorted(found, key=lambda template: -template["frequency"])[:SHOWN_TEMPLATES]


def similarity(report: Report) -> str:
    value = (report.templates or {}).get("stats", {}).get("similarity")
    return f"cosine {value:g}" if isinstance(value, (int, float)) else "the similarity"


def coverage_rows(report: Report) -> list[list[str]]:
    """Coverage three times, each with its definition: held out, the old count, the old baseline."""
    stats = report.templates["stats"] if report.templates else {}
    n, within = count(stats.get("total_messages")), similarity(report)
    low_high = stats.get("coverage_range") or [None, None]
    spread = f", range {percent(low_high[0])} to {percent(low_high[1])}" if None not in low_high else ""
    rows = [
        [
            "Held out",
            percent(stats.get("coverage")) + spread,
            f"share of your own later messages within {within} of a template, median over several cuts in time; "
            f"templates mined only from what lay before ({_pooled(stats) or f'n = {n} messages in all'})",
        ]
    ]
    if stats.get("chat_out") is not None:
        low, high = stats["chat_out_range"]
        rows.append(
            [
                "Chats left out",
                f"{percent(stats['chat_out'])}, range {percent(low)} to {percent(high)}",
                f"the same of a chat whose messages were not mined, median over {stats['chats_left_out']} chats "
                f"(n = {stats['chat_out_n']:,})",
            ]
        )
    return [*rows, *_old_coverage(report, stats)]


def _pooled(stats: Mapping[str, Any]) -> str:
    """All cuts together, with interval and n; "" where that was not stored."""
    ends = stats.get("coverage_ci")
    if not ends:
        return ""
    together = f"all cuts together {percent(stats['coverage_pooled'])}"
    return f"{together}, {100 * ends[0]:.1f} to {100 * ends[1]:.1f} %, n = {stats['coverage_n']:,}"


def _old_coverage(report: Report, stats: Mapping[str, Any]) -> list[list[str]]:
    source = stats.get("coverage_baseline_source") or report.baseline["source"]
    ends, n = stats.get("coverage_in_sample_ci"), stats.get("coverage_in_sample_n")
    sure = f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f} %, n = {n:,})" if ends and n else ""
    return [
        [
            "Old definition (in-sample)",
            percent(stats.get("coverage_in_sample")),
            "the old script's count: share of the messages that it was mined from which lie in any "
            f"cluster; flatters, because it counts what it has seen{sure}",
        ],
        [
            "Old baseline",
            percent(stats.get("coverage_baseline", report.baseline["coverage"])),
            f"{clean(source)}; said of 91 manual templates, not reproducible, so no like-for-like comparison",
        ],
    ]


def contrasts(report: Report) -> list[Contrast]:
    """Old against new."""
    stats = report.templates["stats"] if report.templates else {}
    in_use = stats.get("in_use")
    return [
        Contrast(
            "Coverage",
            "6.2 % (reported, 33 of 528, method unknown)",
            f"{percent(stats.get('coverage'))} (held out, own later messages within {similarity(report)})"
            if stats.get("coverage") is not None
            else NOT_MEASURED,
            "two definitions; the first cannot be repeated",
        ),
        Contrast(
            "Instant replies",
            NOT_MEASURED,
            f"{percent(stats.get('hit_rate'))} of incoming turns"
            + (f"; right in {_fired(stats)}" if stats.get("precision") is not None else "")
            if stats.get("hit_rate") is not None
            else NOT_MEASURED,
            "a coverage of your own messages is not a rate of instant replies",
        ),
        _quality_contrast(report),
        Contrast(
            "Templates in use",
            "21 % of 91 (79 % unused, reported)",
            f"{percent(in_use)} have a later message of yours near them" if in_use is not None else NOT_MEASURED,
            "two definitions; use in JARVIS is known only after a time in use",
        ),
    ]


def _fired(stats: Mapping[str, Any]) -> str:
    """Precision with its n."""
    n = stats.get("turns_fired")
    return f"{stats['turns_right']:,} of {n:,} that fired" if n else f"{percent(stats['precision'])} of them"


def _quality_contrast(report: Report) -> Contrast:
    """Quality of the present model against the best one, on this run's prompts."""
    rated = {key: model for key, model in report.models.items() if model["stats"]["quality"] is not None}
    if not rated:
        return Contrast("Reply quality", NOT_MEASURED, NOT_MEASURED, "share of the yes/no checks passed")
    old = rated.get("qwen2.5-1.5b")
    best = max(rated.values(), key=lambda model: model["stats"]["quality"])
    n = best["stats"]["total_tests"]
    return Contrast(
        "Reply quality",
        f"{number(old['stats']['quality'])} ({clean(old['info']['name'], 80)}, in this run)" if old else NOT_MEASURED,
        f"{number(best['stats']['quality'])} ({clean(best['info']['name'], 80)}, the highest of {len(rated)})",
        f"share of the yes/no checks passed, {n} prompts; the verdict says whether a difference is more than chance",
    )


MODEL_HEADER = [
    "Model",
    "Quality (95 % interval)",
    "Usable replies",
    "Reply p50",
    "p95",
    "First token",
    "Tokens/s",
    "Peak",
]


def model_cells(model: Mapping[str, Any]) -> list[str]:
    """One line of the table of models, as MODEL_HEADER."""
    stats = model["stats"]
    ends = stats["quality_ci"]
    quality = number(stats["quality"]) + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")
    usable = f"{stats['successes']} of {stats['total_tests']}"
    if rate := stats.get("success_rate_ci"):
        usable += f" ({100 * rate[0]:.0f} to {100 * rate[1]:.0f} %)"
    p95 = stats["p95_latency_ms"]
    return [
        clean(model["info"]["name"], 80),
        quality,
        usable,
        milliseconds(stats["p50_latency_ms"]),
        milliseconds(p95) if p95 is not None else "n below 20",
        milliseconds(stats["avg_ttft_ms"]),
        number(stats["tokens_per_second"], 1),
        megabytes(stats["peak_memory_mb"]),
    ]


@dataclass(frozen=True)
class Said:
    """A reply of one model: its text, or why there is none."""

    model: str
    reply: str
    latency_ms: float | None
    failure: str  #: "" for a usable reply


@dataclass(frozen=True)
class Exchange:
    """A prompt and what every model made of it."""

    instruction: str
    replies: tuple[Said, ...]


@dataclass(frozen=True)
class Scene:
    """A scenario: the incoming message and its prompts."""

    context: str
    exchanges: tuple[Exchange, ...]


def scenes(report: Report) -> list[Scene]:
    """Replies side by side: the first sample of each prompt, in the order of scenarios and models."""
    grid: dict[str, dict[int, list[tuple[dict[str, Any], Said]]]] = {}
    for model in report.models.values():
        for said in model["generations"]:
            if said.get("sample", 1) == 1:
                prompts = grid.setdefault(said["scenario_id"], {})
                prompts.setdefault(said["prompt"], []).append((said, _said(model, said)))
    order = [scenario.get("id") for scenario in report.comparison["scenarios"]] if report.comparison else []
    ids = [key for key in order if key in grid] + [key for key in grid if key not in order]
    return [_scene(grid[key]) for key in ids]


def _scene(prompts: Mapping[int, list[tuple[dict[str, Any], Said]]]) -> Scene:
    some = next(iter(prompts.values()))[0][0]
    exchanges = [
        Exchange(clean(prompts[place][0][0]["instruction"], 200), tuple(said for _, said in prompts[place]))
        for place in sorted(prompts)
    ]
    return Scene(clean(some["context"]), tuple(exchanges))


def _said(model: Mapping[str, Any], said: Mapping[str, Any]) -> Said:
    return Said(
        model=clean(model["info"]["name"], 60),
        reply=clean(said["reply"]),
        latency_ms=said["latency_ms"],
        failure="" if said["success"] else clean(said["failure"] or "failed", 120),
    )


def method_rows(report: Report) -> list[list[str]]:
    """How each figure was measured, with its n."""
    rows = [
        [
            "Duration, peak memory",
            "of the last attempt; memory of the whole process tree, sampled while it ran",
        ]
    ]
    if report.templates:
        stats = report.templates["stats"]
        rows.append(["Coverage", f"{coverage_rows(report)[0][2]}"])
        rows += _answer_methods(report.templates.get("config") or {}, stats)
        for key, what in (("embedding_time_seconds", "Embedding"), ("clustering_time_seconds", "Choosing")):
            if stats.get(key) is not None:
                rows.append([what, f"{duration(stats[key])} in this run"])
    for model in report.models.values():
        stats, name = model["stats"], clean(model["info"]["name"], 80)
        load = f"; loaded in {duration(model['load_time_s'])}" if model["load_time_s"] is not None else ""
        rows.append(
            [
                name,
                f"{stats['total_tests']} replies, {stats['successes']} usable; speed over the usable ones, "
                f"warm-up excluded; quality over {stats['quality_scenarios']} scenario means, t{load}",
            ]
        )
    if report.models:
        rows.append(["p95", "not given below 20 usable replies: it would be little more than the slowest one"])
        rows.append(["Usable replies", "share with Wilson 95 % interval"])
    return rows


def _answer_methods(config: Mapping[str, Any], stats: Mapping[str, Any]) -> list[list[str]]:
    """How answers and tiers were measured, where they were."""
    if not stats.get("turns_held_out"):
        return []
    n = f"{stats['turns_held_out']:,} incoming turns, {stats['turns_replied']:,} of them answered"
    named = (("Answers", "answers"), ("Parts", "parts"), ("Tiers", "tiers"), ("Deployed", "deployed"))
    return [
        ["Held-out turns", f"{n}; a turn without an answer counts as not answered rightly"],
        *([what, clean(config[key])] for what, key in named if config.get(key)),
    ]


def setting_rows(report: Report) -> list[list[str]]:
    """Machine, versions and revisions."""
    rows = [[f"machine: {clean(key, 60)}", clean(value, 200)] for key, value in report.machine.items()]
    rows += [[f"version: {clean(key, 60)}", clean(value, 200)] for key, value in report.versions.items()]
    for model in report.models.values():
        info = model["info"]
        place = clean(info.get("revision") or "no revision", 100)
        rows.append([f"model: {clean(info['name'], 80)}", f"{clean(info.get('path'), 300)} · {place}"])
    for key, value in ((report.templates or {}).get("config") or {}).items():
        rows.append([f"mining: {clean(key, 60)}", clean(value, 200)])
    return rows
