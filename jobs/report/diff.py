"""What changed between two runs, as data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from jarvisd.plugin import Job, Run, Status
from jobs.lib import stats
from jobs.lib.results.tables import REAL_TURNS
from jobs.report.escape import NOT_MEASURED, megabytes, milliseconds, number, percent

_ALL = 1 - 1e-9  #: a share that counts as every check


#: Key of a model's stats -> what it is called, and how it is written.
FIGURES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "quality": ("quality", number),
    "success_rate": ("usable replies", percent),
    "p50_latency_ms": ("median reply", milliseconds),
    "tokens_per_second": ("tokens/s", lambda value: number(value, 1)),
    "peak_memory_mb": ("peak memory", lambda value: NOT_MEASURED if value is None else megabytes(value)),
}


TEMPLATES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "templates_extracted": ("templates", lambda value: number(value, 0)),
    "coverage": ("coverage, held out", percent),
    "hit_rate": ("hit rate", percent),
    "precision": ("right when it fires", percent),
}


#: scenario, incoming message, instruction: the same prompt in another run, whatever its place
Prompt = tuple[str, str, str]


def previous(run: Run) -> Run | None:
    """The newest earlier run of the same plan whose report was written."""
    done = Run.select().join(Job).where(Job.is_report, Job.status == Status.SUCCEEDED)
    found: Run | None = done.where(Run.plan == run.plan, Run.number < run.number).order_by(Run.number.desc()).first()
    return found


def compare(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """{"figures": [...], "prompts": [...], "same": n, "templates": [...]} of two runs.

    `then` and `now` are {"run": id, "comparison": document or None, "templates": document or None}.
    """
    old, new = (_models(run) for run in (then, now))
    both = [key for key in new if key in old]
    prompts = [change for key in both for change in _prompts(key, old[key], new[key])]
    changed = [change for change in prompts if change["before"] != change["now"]]
    changed.sort(key=lambda change: (not change["flip"], -abs(change["now"] - change["before"])))
    return {
        "run": then["run"],
        "figures": [row for key in both for row in _figures(key, old[key], new[key])],
        "prompts": changed,
        "same": len(prompts) - len(changed),
        "templates": _differences(TEMPLATES, _stats(then), _stats(now)),
        "only_now": [key for key in new if key not in old],
        "only_then": [str(old[key]["info"]["name"]) for key in old if key not in new],
    }


def _models(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return (run["comparison"] or {}).get("models") or {}


def _stats(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return (run["templates"] or {}).get("stats") or {}


def _differences(which: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures that both runs have."""
    return [
        {"figure": key, "before": before[key], "now": now[key], "ci": None, "clusters": None}
        for key in which
        if before.get(key) is not None and now.get(key) is not None
    ]


def _figures(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [_paired(before, now), *_differences(FIGURES, before["stats"], now["stats"])]
    return [{"model": key, **row} for row in rows if row is not None]


def _paired(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any] | None:
    """Share of checks passed on the prompts of both runs, with the interval of the paired difference.

    All three are means of cluster means, so that the difference is the middle of its interval.
    """
    old, new = _scores(before), _scores(now)
    common = [prompt for prompt in new if prompt in old]
    if not common:
        return None
    place = _clusters(now)
    then, after, gap = (
        stats.clustered_interval(_gathered(place, {prompt: value(prompt) for prompt in common}))
        for value in (old.__getitem__, new.__getitem__, lambda prompt: new[prompt] - old[prompt])
    )
    return {
        "figure": "checks",
        "before": then.mean if then else None,
        "now": after.mean if after else None,
        "ci": stats.clip_interval(gap.interval, -1.0) if gap else None,
        "clusters": gap.n if gap else 0,
    }


def _clusters(model: Mapping[str, Any]) -> dict[Prompt, str]:
    """What counts as independent: the scenario of a prompt, the conversation of a real turn."""
    return {
        _prompt_of(said): f"chat:{said.get('chat')}" if said["scenario_id"] == REAL_TURNS else said["scenario_id"]
        for said in model["generations"]
    }


def _gathered(place: Mapping[Prompt, str], values: Mapping[Prompt, float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for prompt, value in values.items():
        found[place[prompt]].append(value)
    return found


def _scores(model: Mapping[str, Any]) -> dict[Prompt, float]:
    """Mean share of checks of each prompt."""
    found: dict[Prompt, list[float]] = defaultdict(list)
    for said in model["generations"]:
        if said["quality"] is not None:
            found[_prompt_of(said)].append(said["quality"])
    return {prompt: sum(values) / len(values) for prompt, values in found.items()}


def _prompt_of(said: Mapping[str, Any]) -> Prompt:
    return said["scenario_id"], said["context"], said["instruction"]


def _prompts(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each prompt of both runs; a flip is one that passed every check in one run and not in the other."""
    old, new = _scores(before), _scores(now)
    return [
        {
            "model": key,
            "real": prompt[0] == REAL_TURNS,
            "context": prompt[1],
            "instruction": prompt[2],
            "before": old[prompt],
            "now": new[prompt],
            "flip": (old[prompt] >= _ALL) != (new[prompt] >= _ALL),
        }
        for prompt in new
        if prompt in old
    ]
