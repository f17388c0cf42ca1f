"""The comparison of models as one document, mlx_comparison_results.json, built from the database alone.

A model is compared on the prompts that it and the other one both attempted. A failed reply counts as quality
0, so a model cannot gain by failing on the hard prompts. Samples of a prompt are averaged first, then the
prompts of a scenario; the scenario is what counts as independent.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from jarvisd.ledger import Run
from jobs import statistics
from jobs.results import Evaluation, Reply
from jobs.statistics import Estimate

#: (scenario, place of the prompt in it) -> mean quality of a model's samples there, 0..1
Scores = Mapping[tuple[str, int], float]

_INFO = ("name", "params", "memory", "notes", "path", "revision")


def document(run_id: str) -> dict[str, Any]:
    """mlx_comparison_results.json of a run: plain JSON values, no NaN; no model where none was loaded.

    Raises peewee.DoesNotExist for an unknown run.
    """
    run: Run = Run.get_by_id(run_id)
    replies = list(
        Reply.select()
        .where(Reply.run == run_id)
        .order_by(Reply.scenario_id, Reply.prompt, Reply.sample, Reply.created_at)
    )
    scenarios = planned_scenarios(run.snapshot) or _scenarios_of(replies)
    order = {str(scenario.get("id")): place for place, scenario in enumerate(scenarios)}
    replies.sort(key=lambda reply: order.get(reply.scenario_id, len(order)))
    by_model: dict[str, list[Reply]] = defaultdict(list)
    for reply in replies:
        by_model[reply.model].append(reply)
    evaluations = _evaluations(run_id)
    keys = _in_order(run.snapshot, [*evaluations, *by_model])
    models = {key: _model(key, evaluations.get(key), by_model.get(key, []), run.snapshot) for key in keys}
    moment = max((reply.created_at for reply in replies), default=run.created_at)
    result = {
        "timestamp": _iso(moment),
        "scenarios": scenarios,
        "models": models,
        "verdict": verdict({key: scores(by_model[key]) for key in keys if key in by_model}, _names(models)),
    }
    return dict(plain(result))


def _evaluations(run_id: str) -> dict[str, Evaluation]:
    """The newest loading of each model."""
    rows = Evaluation.select().where(Evaluation.run == run_id).order_by(Evaluation.job)
    return {row.model: row for row in rows}


def _in_order(snapshot: Any, keys: Sequence[str]) -> list[str]:
    """Each key once: in the order of the plan, then those that it does not name."""
    wanted = [entry["key"] for entry in planned_models(snapshot)]
    unique = dict.fromkeys(keys)
    return [key for key in wanted if key in unique] + [key for key in unique if key not in wanted]


def _names(models: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {key: str(model["info"]["name"]) for key, model in models.items()}


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


# ------------------------------------------------------------------------------------ what the plan asked for


def _section(snapshot: Any) -> dict[str, Any]:
    plan = snapshot.get("plan") if isinstance(snapshot, dict) else None
    section = plan.get("evaluate") if isinstance(plan, dict) else None
    return section if isinstance(section, dict) else {}


def planned_scenarios(snapshot: Any) -> list[dict[str, Any]]:
    """The scenarios of the run's resolved plan; empty where the plan compares nothing."""
    found = _section(snapshot).get("scenarios")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def planned_models(snapshot: Any) -> list[dict[str, Any]]:
    """The model entries of the run's resolved plan, each with a `key`."""
    found = _section(snapshot).get("models")
    if isinstance(found, dict):
        found = [{"key": key, **(entry if isinstance(entry, dict) else {})} for key, entry in found.items()]
    entries = found if isinstance(found, list) else []
    named = [entry if isinstance(entry, dict) else {"key": str(entry)} for entry in entries]
    return [{**entry, "key": str(entry["key"])} for entry in named if entry.get("key")]


def _scenarios_of(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """Scenarios as the replies show them, for a run whose snapshot does not hold them."""
    found: dict[str, dict[str, Any]] = {}
    for reply in replies:
        blank = {"id": reply.scenario_id, "context": reply.context, "instructions": []}
        scenario = found.setdefault(reply.scenario_id, blank)
        if reply.instruction not in scenario["instructions"]:
            scenario["instructions"].append(reply.instruction)
    return list(found.values())


# -------------------------------------------------------------------------------------------------- one model


def _model(key: str, loaded: Evaluation | None, replies: Sequence[Reply], snapshot: Any) -> dict[str, Any]:
    planned = next((entry for entry in planned_models(snapshot) if entry["key"] == key), {})
    info: dict[str, Any] = dict(loaded.info) if loaded is not None and isinstance(loaded.info, dict) else {}
    info = {name: info.get(name, planned.get(name)) for name in _INFO} | info
    info["name"] = info["name"] or key
    peaks = [reply.peak_memory_mb for reply in replies] + [loaded.load_peak_mb if loaded else None]
    return {
        "info": info,
        "load_time_s": loaded.load_time_s if loaded else None,
        "generations": [_generation(reply) for reply in replies],
        "stats": _stats(replies) | {"peak_memory_mb": max(_known(peaks), default=None)},
    }


def _generation(reply: Reply) -> dict[str, Any]:
    return {
        "scenario_id": reply.scenario_id,
        "prompt": reply.prompt,
        "sample": reply.sample,
        "context": reply.context,
        "instruction": reply.instruction,
        "reply": reply.reply,
        "latency_ms": reply.latency_ms,
        "ttft_ms": reply.ttft_ms,
        "tokens": reply.tokens,
        "tokens_per_second": reply.tokens_per_second,
        "finish_reason": reply.finish_reason,
        "success": bool(reply.success),
        "failure": reply.failure,
        "quality": reply.quality,
        "checks": reply.checks,
        "seed": reply.seed,
    }


def _stats(replies: Sequence[Reply]) -> dict[str, Any]:
    """Figures of one model. Speed is taken over successful replies: a failure is often fast.

    `p95_latency_ms` is null below 20 successful replies, where it would be little more than the slowest one.
    """
    good = [reply for reply in replies if reply.success]
    latencies = _known(reply.latency_ms for reply in good)
    quality = statistics.clustered_interval(_by_scenario(scores(replies)))
    return {
        "total_tests": len(replies),
        "successes": len(good),
        "failures": len(replies) - len(good),
        "success_rate": len(good) / len(replies) if replies else None,
        "success_rate_ci": statistics.wilson(len(good), len(replies)),
        "avg_latency_ms": statistics.mean(latencies),
        "p50_latency_ms": statistics.median(latencies),
        "p95_latency_ms": statistics.p95(latencies),
        "max_latency_ms": max(latencies, default=None),
        "avg_ttft_ms": statistics.mean(_known(reply.ttft_ms for reply in good)),
        "tokens_per_second": statistics.median(_known(reply.tokens_per_second for reply in good)),
        "avg_tokens": statistics.mean(_known(reply.tokens for reply in good)),
        "quality": quality.mean if quality else None,
        "quality_ci": quality.interval if quality else None,
        "quality_scenarios": quality.n if quality else 0,
    }


def _known(values: Any) -> list[float]:
    """The numbers among values, without None, NaN and infinity."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def scores(replies: Sequence[Reply]) -> dict[tuple[str, int], float]:
    """Mean quality of a model's samples at each prompt it attempted."""
    samples: dict[tuple[str, int], list[float]] = defaultdict(list)
    for reply in replies:
        samples[reply.scenario_id, reply.prompt] += _known([reply.quality])
    return {prompt: math.fsum(values) / len(values) for prompt, values in samples.items() if values}


def _by_scenario(values: Scores) -> dict[str, list[float]]:
    """Scenario -> values of its prompts."""
    clusters: dict[str, list[float]] = defaultdict(list)
    for (scenario, _), value in sorted(values.items()):
        clusters[scenario].append(value)
    return clusters


# ------------------------------------------------------------------------------------------------ the verdict


def difference(first: Scores, second: Scores) -> Estimate | None:
    """Quality of the first less that of the second, paired by prompt; None for no common prompt."""
    paired = {prompt: first[prompt] - second[prompt] for prompt in first if prompt in second}
    return statistics.clustered_interval(_by_scenario(paired))


def verdict(models: Mapping[str, Scores], names: Mapping[str, str]) -> dict[str, Any]:
    """{"winner": key or None, "tied": [keys, the leader first], "why": sentences, "differences": [...]}.

    A winner is better than each other model by an interval that excludes 0. Asking this of every pair at
    once is an intersection-union test: it names a false winner in at most 5 % of the nights without
    narrowing the single intervals (R. L. Berger, "Multiparameter hypothesis testing and acceptance
    sampling", Technometrics 24 (1982) 295-300).
    """
    attempted = {key: values for key, values in models.items() if values}
    if len(attempted) < 2 or not any(any(values.values()) for values in attempted.values()):
        return _no_comparison(attempted, names)
    leader = _leader(attempted)
    others = [key for key in attempted if key != leader]
    gaps = {key: difference(attempted[leader], attempted[key]) for key in others}
    tied = [key for key in others if not _is_better(gaps[key])]
    note = _missing(attempted)
    if tied:
        why = _why_tied(leader, tied, gaps, names) + note
        return _verdict(None, [leader, *tied], why, leader, gaps)
    return _verdict(leader, [], _why_won(leader, gaps, names) + note, leader, gaps)


def _verdict(
    winner: str | None, tied: list[str], why: str, leader: str | None, gaps: Mapping[str, Estimate | None]
) -> dict[str, Any]:
    rows = [
        {
            "model": leader,
            "against": key,
            "difference": gap.mean if gap else None,
            "ci": gap.interval if gap else None,
            "scenarios": gap.n if gap else 0,
        }
        for key, gap in gaps.items()
    ]
    return {"winner": winner, "tied": tied, "why": why, "differences": rows}


def _no_comparison(attempted: Mapping[str, Scores], names: Mapping[str, str]) -> dict[str, Any]:
    if not attempted:
        why = "No model gave replies, so there is nothing to compare."
    elif len(attempted) == 1:
        only = next(iter(attempted))
        why = f"Only one model could be compared: {names.get(only, only)}. A winner needs another one."
    else:
        why = "No model gave a reply that passed a check, so there is nothing to choose from."
    return _verdict(None, [], why, None, {})


def _is_better(gap: Estimate | None) -> bool:
    return gap is not None and gap.above_zero


def _leader(models: Mapping[str, Scores]) -> str:
    """The model that is better than all others, else the best mean on what all attempted."""
    for key in models:
        if all(_is_better(difference(models[key], models[other])) for other in models if other != key):
            return key
    common = set.intersection(*(set(values) for values in models.values()))

    def standing(key: str) -> float:
        values = {prompt: models[key][prompt] for prompt in common} if common else models[key]
        return math.fsum(means := statistics.cluster_means(_by_scenario(values)).values()) / len(means)

    return max(models, key=standing)  # the first of the plan among equals


def _gap(gap: Estimate | None) -> str:
    """A difference in words: "+0.12 (95 % interval 0.03 to 0.21, 5 scenarios)"."""
    if gap is None:
        return "no prompt in common"
    if gap.low is None or gap.high is None:
        return f"{gap.mean:+.2f}, one scenario in common, so no interval"
    return f"{gap.mean:+.2f} (95 % interval {gap.low:.2f} to {gap.high:.2f}, {gap.n} scenarios)"


def _why_won(leader: str, gaps: Mapping[str, Estimate | None], names: Mapping[str, str]) -> str:
    closest = min(gaps, key=lambda key: gap.mean if (gap := gaps[key]) else 0.0)
    each = "the other model" if len(gaps) == 1 else f"each of the {len(gaps)} other models"
    return (
        f"{names.get(leader, leader)} passes more checks than {each}: against {names.get(closest, closest)}, "
        f"the closest, {_gap(gaps[closest])}; paired on the same prompts, t over scenario means. "
        "Every interval had to exclude 0, so no further correction for the number of comparisons is needed."
    )


def _why_tied(leader: str, tied: Sequence[str], gaps: Mapping[str, Estimate | None], names: Mapping[str, str]) -> str:
    one = tied[0] if len(tied) == 1 else min(tied, key=lambda key: gap.mean if (gap := gaps[key]) else 9.0)
    rest = f" and {len(tied) - 1} more" if len(tied) > 1 else ""
    start = f"{names.get(leader, leader)} is not better than {names.get(one, one)}{rest} beyond chance: "
    same = all(gap is not None and gap.low == gap.high == 0 for gap in (gaps[key] for key in tied))
    ending = "Their replies pass the same checks." if same else "More scenarios or your own ear decide."
    return f"{start}{_gap(gaps[one])}; paired on the same prompts, t over scenario means. {ending}"


def _missing(models: Mapping[str, Scores]) -> str:
    """A sentence about prompts that not every model attempted, or nothing."""
    everything = set().union(*(set(values) for values in models.values()))
    common = set.intersection(*(set(values) for values in models.values()))
    if len(common) == len(everything):
        return ""
    return (
        f" {len(everything) - len(common)} of {len(everything)} prompts were not attempted by every model; "
        "each pair is compared only on the prompts that both attempted."
    )


def plain(value: Any) -> Any:
    """The same value with nothing that JSON lacks: numpy scalars become numbers, NaN and infinity null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if not isinstance(value, (str, bool, int, float)) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, dt.datetime):
        return _iso(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
