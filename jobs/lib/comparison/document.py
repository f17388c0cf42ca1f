"""The comparison of models as one document, mlx_comparison_results.json, built from the database alone.

Scores of replies come from scores.py, the winner from verdict.py, models that answered fewer prompts are compared by
adjusted.py, what could change the verdict comes from sensitivity.py and the owner's votes from votes.py.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from jarvisd.plugin import Job, Run
from jobs.lib import stats
from jobs.lib.comparison import adjusted, sensitivity, votes
from jobs.lib.comparison import scores as scoring
from jobs.lib.comparison import snapshot as snapshots
from jobs.lib.comparison import verdict as verdicts
from jobs.lib.comparison.replies import Replies
from jobs.lib.results.tables import REAL_TURNS, SCALED, ModelLoad, ReferenceScore, Reply, TrainTestSplit

_INFO = ("name", "params", "memory", "notes", "path", "revision")


def document(run_id: str) -> dict[str, Any]:
    """mlx_comparison_results.json of a run: plain JSON values, no NaN; no model where none was loaded.

    Raises peewee.DoesNotExist for an unknown run.
    """
    run: Run = Run.get_by_id(run_id)
    planned = snapshots.planned_scenarios(run.snapshot)
    replies = Replies(run_id, [str(scenario.get("id")) for scenario in planned])
    loadings = _loadings(run_id)
    gone = snapshots.left_out(run_id)
    keys = _in_order(run.snapshot, [*loadings, *replies.by_model])
    rules = scoring.rules(run.snapshot)
    models = {
        key: _model(key, replies, loadings.get(key, []), run.snapshot, rules) | {"dropped": gone.get(key)}
        for key in keys
    }
    rows = replies.all()
    result = {
        "timestamp": _iso(max((row.created_at for row in rows), default=run.created_at)),
        "rounds": max((row.round for row in rows), default=1),
        "scenarios": [snapshots._scenario(entry) for entry in planned] or _scenarios_of(rows),
        **_decision(run_id, models, replies, rules),
        "cut": _cut(run_id),
        "yardsticks": _yardsticks(run_id),
    }
    return dict(plain(result))


def _decision(run_id: str, models: Mapping[str, Any], replies: Replies, rules: scoring.Rules) -> dict[str, Any]:
    """The models, with their figures on common ground; what numbers and votes say of them, and what would change it."""
    scores = {key: replies.scores(key, rules.layers) for key in models if key in replies.by_model}
    names = _names(models)
    ear = votes.of_run(run_id)
    found = verdicts.find(
        scores,
        names,
        gated={key: model["gates"] for key, model in models.items()},
        left_out=[key for key, model in models.items() if model["dropped"]],
        remarks=_remarks(run_id, models),
        votes=ear,
    )
    common = adjusted.leader_adjusted(scores, found.ranking, replies)
    models = {key: model | {"stats": model["stats"] | {"common": common.get(key)}} for key, model in models.items()}
    figures = {key: adjusted.with_adjusted(model["stats"]) for key, model in models.items()}
    said = found.verdict
    # Weights order what quality leaves open; a conflict is told in the order in which it stands.
    among = list(found.groups) if said["winner"] else [] if said["conflict"] else said["tied"]
    by_weights = sensitivity.order(figures, among, rules.weights)
    said["tied"] = by_weights or said["tied"] if not said["winner"] else []
    first = said["winner"] or next(iter(said["tied"]), None)
    return {
        "models": models,
        "pairs": [pair.row() for pair in found.pairs],
        "groups": dict(found.groups),
        "ranking": list(found.ranking),
        "by_weights": by_weights,
        "stability": sensitivity.weight_sensitivity(figures, first, among, rules.weights) if first and among else None,
        "votes": votes.summary(run_id, ear),
        "settle": sensitivity.what_would_resolve_tie(found, scores, names, ear, _conversations(run_id, replies)),
        "verdict": said,
    }


def _loadings(run_id: str) -> dict[str, list[ModelLoad]]:
    """Every loading of each model, the first one first."""
    found: dict[str, list[ModelLoad]] = defaultdict(list)
    rows = ModelLoad.select(ModelLoad, Job).join(Job).where(ModelLoad.run == run_id)
    for row in rows.order_by(Job.round, Job.id):
        found[row.model].append(row)
    return dict(found)


def _remarks(run_id: str, models: Mapping[str, Any]) -> dict[str, str]:
    """What has to be said of a model that was not asked to the end, where it is named."""
    found = {
        key: f"was left out after round {model['rounds']} and was not asked again"
        for key, model in models.items()
        if model["dropped"]
    }
    return found | {key: f"did not finish: {why}" for key, why in snapshots.broken(run_id).items()}


def _conversations(run_id: str, replies: Replies) -> int | None:
    """How many conversations of the owner's can be asked; None where nobody has looked.

    The turns of a run are chosen from one conversation after another, so where there is a turn of each, it is chosen.
    """
    return len({turn.chat for turn in replies.turns.values()}) if _cut(run_id) else None


def _in_order(snapshot: Any, keys: Sequence[str]) -> list[str]:
    """Each key once: in the order of the plan, then those that it does not name."""
    wanted = [entry["key"] for entry in snapshots.planned_models(snapshot)]
    unique = dict.fromkeys(keys)
    return [key for key in wanted if key in unique] + [key for key in unique if key not in wanted]


def _names(models: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """What people call each model; its key beside it where two have the same name."""
    names = {key: str(model["info"]["name"]) for key, model in models.items()}
    twice = {name for name in names.values() if list(names.values()).count(name) > 1}
    return {key: f"{name} ({key})" if name in twice else name for key, name in names.items()}


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().isoformat(timespec="seconds")


# ------------------------------------------------------------------------------------ what the plan asked for


def _scenarios_of(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """Scenarios as the replies show them, for a run whose snapshot does not hold them."""
    found: dict[str, dict[str, Any]] = {}
    for reply in replies:
        if reply.scenario_id == REAL_TURNS:
            continue
        blank = {"id": reply.scenario_id, "title": "", "context": reply.context, "prompts": []}
        scenario = found.setdefault(reply.scenario_id, blank)
        if {"instruction": reply.instruction} not in scenario["prompts"]:
            scenario["prompts"].append({"instruction": reply.instruction})
    return list(found.values())


def _cut(run_id: str) -> dict[str, Any] | None:
    row = TrainTestSplit.get_or_none(TrainTestSplit.run == run_id)
    if row is None:
        return None
    return {"at": row.at, "own_before": row.own_before, "turns_after": row.turns_after, "chosen": row.chosen}


def _yardsticks(run_id: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in (
        ReferenceScore.select()
        .where(ReferenceScore.run == run_id)
        .order_by(ReferenceScore.metric, ReferenceScore.reference)
    ):
        scaled = row.reference.endswith(SCALED)
        ends = None if row.low is None or row.high is None else [row.low, row.high]
        low, high = (stats.clip_interval(ends) if scaled else ends) or (None, None)
        value = {"value": row.value, "low": low, "high": high}
        mark = found[row.metric].setdefault(row.reference.removesuffix(SCALED), {})
        mark.update({"scaled": value} if scaled else value | {"n": row.n})
    return dict(found)


# -------------------------------------------------------------------------------------------------- one model


def _model(
    key: str, replies: Replies, loadings: Sequence[ModelLoad], snapshot: Any, rules: scoring.Rules
) -> dict[str, Any]:
    planned = next((entry for entry in snapshots.planned_models(snapshot) if entry["key"] == key), {})
    newest = loadings[-1].info if loadings else None
    info: dict[str, Any] = dict(newest) if isinstance(newest, dict) else {}
    info = {name: info.get(name, planned.get(name)) for name in _INFO} | info
    info["name"] = info["name"] or key
    rows = replies.by_model.get(key, [])
    figures = scoring.figures(key, replies, loadings, rules.layers)
    return {
        "info": info,
        "load_time_s": loadings[0].load_time_s if loadings else None,
        "generations": [_generation(row, replies) for row in rows],
        "stats": figures,
        "gates": scoring.failed_gates(figures, rules.gates),
        "rounds": len({row.round for row in rows}),
    }


_COPIED = (
    "scenario_id",
    "prompt",
    "sample",
    "round",
    "batched",
    "context",
    "instruction",
    "reply",
    "thinking",
    "latency_ms",
    "ttft_ms",
    "inter_token_ms",
    "tokens",
    "tokens_per_second",
    "characters_per_second",
    "finish_reason",
    "failure",
    "quality",
    "checks",
    "bits_per_character",
    "seed",
)


def _generation(row: Reply, replies: Replies) -> dict[str, Any]:
    turn = replies.turns.get(row.prompt) if row.scenario_id == REAL_TURNS else None
    scored = replies.scored.get(row.id, {})
    return {name: getattr(row, name) for name in _COPIED} | {
        "success": bool(row.success),
        "style": scored.get("style"),
        "meaning": scored.get("meaning"),
        "reference": turn.answer if turn else None,
        "chat": turn.chat if turn else None,
    }


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
