"""What changed since the last run of the same plan: per figure and per prompt, compared on what both asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jarvisd.ledger import Job, Run, Status
from jobs import statistics
from jobs.report.text import NOT_MEASURED, clean, megabytes, milliseconds, number, percent
from jobs.results import REAL_TURNS

SHOWN_PROMPTS = 16
_ALL = 1 - 1e-9  #: a share that counts as every check

TEMPLATE_HEADER = ["Templates", "Last run", "This run", "Change"]
PROMPT_HEADER = ["Model", "Prompt", "Last run", "This run", "Change"]

#: Key of a model's stats -> what it is called, and how it is written.
_FIGURES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "quality": ("quality", number),
    "success_rate": ("usable replies", percent),
    "p50_latency_ms": ("median reply", milliseconds),
    "tokens_per_second": ("tokens/s", lambda value: number(value, 1)),
    "peak_memory_mb": ("peak memory", lambda value: NOT_MEASURED if value is None else megabytes(value)),
}
_TEMPLATES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "templates_extracted": ("templates", lambda value: number(value, 0)),
    "coverage": ("coverage, held out", percent),
    "hit_rate": ("hit rate", percent),
    "precision": ("right when it fires", percent),
}

#: scenario, incoming message, instruction: the same prompt in another run, whatever its place
Prompt = tuple[str, str, str]


def previous(run: Run) -> Run | None:
    """The newest earlier run of the same plan whose report was written."""
    done = Run.select().join(Job).where(Job.kind == "report", Job.status == Status.SUCCEEDED)
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
        "templates": _differences(_TEMPLATES, _stats(then), _stats(now)),
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
    rows = [_paired(before, now), *_differences(_FIGURES, before["stats"], now["stats"])]
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
        statistics.clustered_interval(_gathered(place, {prompt: value(prompt) for prompt in common}))
        for value in (old.__getitem__, new.__getitem__, lambda prompt: new[prompt] - old[prompt])
    )
    return {
        "figure": "checks",
        "before": then.mean if then else None,
        "now": after.mean if after else None,
        "ci": statistics.possible(gap.interval, -1.0) if gap else None,
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


# ---------------------------------------------------------------------------------------------------- as text


def figure_header() -> list[str]:
    return ["Model", "Checks passed, same prompts", *(what[0].upper() + what[1:] for what, _ in _FIGURES.values())]


def figure_rows(changes: Mapping[str, Any], names: Callable[[str], str]) -> list[list[str]]:
    """Old and new of every figure, one line a model, as figure_header."""
    by_model: dict[str, dict[str, str]] = defaultdict(dict)
    for row in changes["figures"]:
        by_model[row["model"]][row["figure"]] = _figure(row)
    return [
        [names(key), *(cells.get(figure, NOT_MEASURED) for figure in ("checks", *_FIGURES))]
        for key, cells in by_model.items()
    ]


def _figure(row: Mapping[str, Any]) -> str:
    """0.72 → 0.79 (+0.07, 95 % interval +0.04 to +0.11, 13 clusters)."""
    _, write = _FIGURES.get(row["figure"], ("", number))
    ends = f", 95 % interval {row['ci'][0]:+.2f} to {row['ci'][1]:+.2f}" if row["ci"] else ""
    ends += f", {row['clusters']} clusters" if row["clusters"] else ""
    before, now = write(row["before"]), write(row["now"])
    if before == now and not ends:
        return f"{now} (no change)"
    return f"{before} → {now} ({_signed(row['now'] - row['before'], write)}{ends})"


def template_rows(changes: Mapping[str, Any], _: Callable[[str], str]) -> list[list[str]]:
    """Old and new of the mining, as TEMPLATE_HEADER."""
    return [
        [what, write(row["before"]), write(row["now"]), _signed(row["now"] - row["before"], write)]
        for row in changes["templates"]
        for what, write in (_TEMPLATES[row["figure"]],)
    ]


def _signed(delta: float, write: Callable[[float | None], str]) -> str:
    text = write(abs(delta))
    return "no change" if delta == 0 else ("+" if delta > 0 else "−") + text


def prompt_rows(changes: Mapping[str, Any], names: Callable[[str], str]) -> list[list[str]]:
    """Prompts whose share of checks changed, flips first, as PROMPT_HEADER; at most SHOWN_PROMPTS."""
    return [
        [
            names(row["model"]),
            _prompt(row),
            number(row["before"]),
            number(row["now"]),
            f"{row['now'] - row['before']:+.2f}"
            + (", now passes every check" if row["flip"] and row["now"] >= _ALL else "")
            + (", no longer passes every check" if row["flip"] and row["now"] < _ALL else ""),
        ]
        for row in changes["prompts"][:SHOWN_PROMPTS]
    ]


def _prompt(row: Mapping[str, Any]) -> str:
    if row["real"]:
        return f"your own history: {clean(row['context'], 120)}"
    return f"{clean(row['context'], 80)} — {clean(row['instruction'], 80)}"


def summary(changes: Mapping[str, Any], names: Callable[[str], str]) -> list[str]:
    """What the two tables cannot say."""
    count, flips = len(changes["prompts"]), sum(row["flip"] for row in changes["prompts"])
    total = count + changes["same"]
    found = [f"Compared with {clean(changes['run'], 100)}, the last run of this plan with a report."]
    if total:
        shown = f"; the first {SHOWN_PROMPTS} are shown" if count > SHOWN_PROMPTS else ""
        found.append(
            f"{count} of {total} prompts asked in both runs got another share of checks, {flips} flipped{shown}."
        )
    found += _names("Not in the last run", [names(key) for key in changes["only_now"]])
    return found + _names("Only in the last run", [clean(name, 80) for name in changes["only_then"]])


def _names(what: str, found: Sequence[str]) -> list[str]:
    return [f"{what}: {', '.join(found)}."] if found else []
