"""The rows that both renderings show: strings ready to be escaped, each saying what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib.comparison.document import ModelDocument
from jobs.report.escape import NOT_MEASURED, clean, count, duration, megabytes, number, percent, text_lines
from jobs.report.gather import Report
from jobs.report.job_lines import JobLine

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
    name = clean(job.name, 80) + (f", round {job.round}" if job.round > 1 else "")
    return [name, job.status, time, megabytes(job.peak_memory_mb), clean(job.reason)]


def template_lines(report: Report) -> list[Mapping[str, Any]]:
    """The templates by frequency, at most SHOWN_TEMPLATES."""
    templates = report.templates["templates"] if report.templates else []
    return sorted(templates, key=lambda template: -template["frequency"])[:SHOWN_TEMPLATES]


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
            f"templates mined only from what lay before ({_cuts(stats) or f'n = {n} messages in all'})",
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
    return [*rows, *_old_coverage(stats)]


def _cuts(stats: Mapping[str, Any]) -> str:
    """Each cut, their mean with Student's t over them, and n; "" where that was not stored."""
    shares, ends = [origin["coverage"] for origin in stats.get("coverage_origins") or ()], stats.get("coverage_mean_ci")
    if not shares or not ends:
        return ""
    one_by_one = ", ".join(f"{100 * share:.1f}" for share in shares)
    mean = f"mean {percent(stats['coverage_mean'])}, 95 % interval over the cuts {_percents(ends)}"
    return f"one by one {one_by_one} %; {mean}; n = {stats['coverage_n']:,} messages"


def _percents(ends: Sequence[float]) -> str:
    """2.1 to 26.9 %."""
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def _old_coverage(stats: Mapping[str, Any]) -> list[list[str]]:
    ends, n = stats.get("coverage_in_sample_ci"), stats.get("coverage_in_sample_n")
    sure = f" ({_percents(ends)}, n = {n:,})" if ends and n else ""
    rows = [
        [
            "Old definition (in-sample)",
            percent(stats.get("coverage_in_sample")),
            "the old script's count: share of the messages that it was mined from which lie in any "
            f"cluster; flatters, because it counts what it has seen{sure}",
        ],
    ]
    if stats.get("coverage_baseline") is not None:
        source = clean(stats.get("coverage_baseline_source") or "its source was not stored")
        meaning = f"{source}; not reproducible, so no like-for-like comparison"
        rows.append(["Old baseline", percent(stats["coverage_baseline"]), meaning])
    return rows


def contrasts(report: Report) -> list[Contrast]:
    """Old against new."""
    stats = report.templates["stats"] if report.templates else {}
    in_use = stats.get("in_use")
    return [
        Contrast(
            "Coverage",
            _old_baseline(stats),
            f"{percent(stats.get('coverage'))} (held out, own later messages within {similarity(report)})"
            if stats.get("coverage") is not None
            else NOT_MEASURED,
            "two definitions; the first cannot be repeated",
        ),
        Contrast(
            "Instant replies",
            NOT_MEASURED,
            f"{percent(stats.get('hit_rate'))} of incoming turns{_over_cuts(stats, 'hit_rate')}"
            + (f"; right in {_fired(stats)}" if stats.get("precision") is not None else "")
            if stats.get("hit_rate") is not None
            else NOT_MEASURED,
            "a coverage of your own messages is not a rate of instant replies",
        ),
        _quality_contrast(report),
        Contrast(
            "Templates in use",
            _manual_in_use(stats),
            f"{percent(in_use)} have a later message of yours near them" if in_use is not None else NOT_MEASURED,
            "two definitions; use in JARVIS is known only after a time in use",
        ),
    ]


def _old_baseline(stats: Mapping[str, Any]) -> str:
    """6.2 % (reported, 33 of 528, method unknown)."""
    if stats.get("coverage_baseline") is None:
        return NOT_MEASURED
    return f"{percent(stats['coverage_baseline'])} ({clean(stats.get('coverage_baseline_source'))})"


def _manual_in_use(stats: Mapping[str, Any]) -> str:
    """The share of the present templates that fired at all, where they were measured."""
    manual = stats.get("manual") or {}
    if manual.get("unused") is None:
        return NOT_MEASURED
    return f"{percent(1 - manual['unused'])} of {manual['templates']} present ones fired"


def _over_cuts(stats: Mapping[str, Any], name: str) -> str:
    """The range beside a median over cuts."""
    ends = stats.get(f"{name}_range")
    return f" (median of the cuts, {_percents(ends)})" if ends else ""


def _fired(stats: Mapping[str, Any]) -> str:
    """Precision with its n."""
    n = stats.get("turns_fired")
    return f"{stats['turns_right']:,} of {n:,} that fired" if n else f"{percent(stats['precision'])} of them"


def _quality_contrast(report: Report) -> Contrast:
    """Quality of the present model against that of the winner, else of the first by the numbers, leader-adjusted."""
    weights = report.rules.in_force.measures
    weighed = f"{weights['instructions']:g} and {weights['own_turns']:g}"
    measure = f"does what you ask and your own messages, weighed {weighed}"
    best, rank = _best(report)
    if best is None:
        return Contrast("Reply quality", NOT_MEASURED, NOT_MEASURED, measure)
    present = report.models.get((report.comparison.verdict.present if report.comparison else None) or "")
    return Contrast(
        "Reply quality",
        _quality(present, "in this run") if present and present.stats.shared_quality is not None else NOT_MEASURED,
        _quality(best, rank),
        f"{measure}; {best.stats.total_tests} replies; the verdict says whether a difference could be luck",
    )


def _best(report: Report) -> tuple[ModelDocument | None, str]:
    """The winner, else the best guess, else the first of the ranking that passes the gates, and which of them it is."""
    if report.comparison is None:
        return None, ""
    verdict = report.comparison.verdict
    if verdict.winner is not None and verdict.recommended:
        return report.models[verdict.winner], "the winner"
    if verdict.pick is not None and verdict.recommended:
        return report.models[verdict.pick], "the best guess"
    eligible = [report.models[key] for key in report.comparison.ranking if not report.models[key].fails_gate]
    rated = [model for model in eligible if model.stats.shared_quality is not None]
    return (rated[0], f"the first of {len(rated)} by quality") if rated else (None, "")


def _quality(model: ModelDocument, note: str) -> str:
    """0.82 (SmolLM3, the winner)."""
    return f"{number(model.stats.shared_quality)} ({clean(model.name, 80)}, {note})"


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
    rows += [[clean(model.name, 80), _model_method(model)] for model in report.models.values()]
    if report.models:
        rows.append(["p95", "not given below 20 complete replies: it would be little more than the slowest one"])
        rows.append(["Complete replies", f"share with Wilson 95 % interval{_repeats(report)}"])
    return rows


def _model_method(model: ModelDocument) -> str:
    stats = model.stats
    load = f"; loaded in {duration(model.load_time_s)}" if model.load_time_s is not None else ""
    speed = f"speed over {stats.timed_replies} complete ones written one by one"
    conversations = f" and {stats.own_turns.n} conversations" if stats.own_turns.n else ""
    return (
        f"{stats.total_tests} replies, {stats.successes} complete; {speed}, warm-up excluded; quality over "
        f"{stats.instructions.n} prompts{conversations}, intervals by Student's t{load}"
    )


def _repeats(report: Report) -> str:
    """What the interval does not know where prompts were answered several times."""
    several = any(reply.sample > 1 for model in report.models.values() for reply in model.generations)
    return ", which takes several samples of one prompt as independent: a little narrow" if several else ""


def _answer_methods(config: Mapping[str, Any], stats: Mapping[str, Any]) -> list[list[str]]:
    """How answers and tiers were measured, where they were."""
    if not stats.get("turns_held_out"):
        return []
    n = f"{stats['turns_held_out']:,} incoming turns, {stats['turns_replied']:,} of them answered"
    named = (("Answers", "answers"), ("Parts", "parts"), ("Tiers", "tiers"), ("Deployed", "deployed"))
    return [
        ["Held-out turns", f"{n}; a turn without an answer counts as not answered rightly"],
        ["Right when it fires", "all cuts together, Wilson; takes turns as independent, so a little narrow"],
        *([["Match time", f"{_match(stats)}; {clean(config['match_time'])}"]] if config.get("match_time") else []),
        *([what, clean(config[key])] for what, key in named if config.get(key)),
    ]


def _match(stats: Mapping[str, Any]) -> str:
    """3.1 ms on average, 2.9 ms at the median of 100, or why there is none."""
    if stats.get("match_mean_ms") is None:
        return f"{NOT_MEASURED}: {clean(stats.get('match_problem'), 200)}"
    return f"mean {stats['match_mean_ms']:.1f} ms, p50 {stats['match_p50_ms']:.1f} ms, n = {stats['match_n']}"


def setting_rows(report: Report) -> list[list[str]]:
    """Machine, versions and revisions."""
    rows = [[f"machine: {clean(key, 60)}", clean(value, 200)] for key, value in report.machine.items()]
    rows += [[f"version: {clean(key, 60)}", clean(value, 200)] for key, value in report.versions.items()]
    for model in report.models.values():
        revision = clean(model.info.get("revision") or "no revision", 100)
        licence = clean(model.info.get("licence") or "licence not stated", 40)
        where = f"{clean(model.info.get('path'), 300)} · {revision} · {licence}"
        rows.append([f"model: {clean(model.name, 80)}", where])
    in_force = report.rules.in_force
    rules = {"gates": in_force.gates, "measures": in_force.measures, "weights": in_force.weights}
    rows += [
        [f"rule: {part}", ", ".join(f"{key} {'none' if value is None else value}" for key, value in values.items())]
        for part, values in (rules.items() if report.models else ())
    ]
    for load in report.loads:
        conditions = (f"{clean(key, 40)} {_condition(value)}" for key, value in load.conditions.items())
        name = report.models[load.model].name if load.model in report.models else load.model
        rows.append([f"conditions: round {load.round}, {clean(name, 80)}", ", ".join(conditions) or NOT_MEASURED])
    if seeds := _seeds(report):
        rows.append(["seeds", seeds])
    for key, value in ((report.templates or {}).get("config") or {}).items():
        rows.append([f"mining: {clean(key, 60)}", _setting(value)])
    return rows


def _setting(value: Any) -> str:
    """A value in words: name all-MiniLM-L6-v2, fingerprint cc16…; a dash where there is none."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {inner}" for key, inner in value.items() if inner not in (None, ""))
    return "–" if value in (None, "") else clean(value, 200)


def _seeds(report: Report) -> str:
    """One line about the seeds; each reply's own is in replies.csv."""
    seeds = {reply.seed for model in report.models.values() for reply in model.generations}
    if not seeds:
        return ""
    return f"{len(seeds):,} different ones, the same for every model at the same prompt; each reply's is in replies.csv"


def prompt_lines(report: Report) -> list[tuple[str, list[str]]]:
    """The first prompt of each model exactly as it was given: (name, lines)."""
    return [
        (clean(report.models[key].name, 80), text_lines(report.prompts[key]))
        for key in report.models
        if key in report.prompts
    ]


def _condition(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(value, 40) or NOT_MEASURED
