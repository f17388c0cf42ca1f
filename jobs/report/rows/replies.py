"""Replies side by side: prompt by prompt, repeats collapsed, and the turns of the owner's own history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.lib import stats
from jobs.lib.results.tables import REAL_TURNS
from jobs.report.escape import MAX_CHARACTERS, clean
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows

SHOWN_VARIANTS = 3  #: different replies of one model to one prompt
SHOWN_TURNS = 12  #: examples of real turns

Said_ = Mapping[str, Any]  #: one entry of a model's generations


@dataclass(frozen=True)
class ReplyCell:
    """A reply of one model, once for all the times it said the same: its text, or why there is none."""

    model: str
    reply: str
    latency_ms: float | None  #: median of the timed ones
    failure: str  #: "" for a usable reply
    times: int = 1


@dataclass(frozen=True)
class PromptBlock:
    """A prompt and what every model made of it."""

    instruction: str
    replies: tuple[ReplyCell, ...]
    more: int = 0  #: further replies that differ and are not shown


@dataclass(frozen=True)
class ScenarioBlock:
    """A scenario: the incoming message and its prompts."""

    context: str
    exchanges: tuple[PromptBlock, ...]


@dataclass(frozen=True)
class Turn:
    """A turn of the owner's history: what came in, what the owner really wrote, what the models wrote."""

    incoming: str
    answer: str
    exchange: PromptBlock


def shown(text: Any) -> str:
    """A text for a bubble: visible, on one line, and with a mark where it was cut."""
    whole = str(text or "")
    found = clean(whole)
    left = len(whole) - MAX_CHARACTERS
    return f"{found} [cut here, about {left:,} more characters]" if found.endswith("…") and left > 0 else found


def scenes(report: Report) -> list[ScenarioBlock]:
    """Every prompt of the scenarios, in the order of scenarios and models."""
    grid = _grid(report)
    order = [scenario.get("id") for scenario in (report.comparison or {}).get("scenarios") or []]
    ids = [key for key in order if key in grid] + [key for key in grid if key not in order]
    return [_scene(report, grid[key]) for key in ids if key != REAL_TURNS]


#: scenario -> prompt -> key of the model -> its replies there
Grid = dict[str, dict[int, dict[str, list[Said_]]]]


def _grid(report: Report) -> Grid:
    grid: Grid = {}
    for key, model in report.models.items():
        for said in model["generations"]:
            prompts = grid.setdefault(said["scenario_id"], {})
            prompts.setdefault(said["prompt"], {}).setdefault(key, []).append(said)
    return grid


def _scene(report: Report, prompts: Mapping[int, Mapping[str, Sequence[Said_]]]) -> ScenarioBlock:
    first = _any(next(iter(prompts.values())))
    exchanges = [_exchange(report, prompts[place]) for place in sorted(prompts)]
    return ScenarioBlock(clean(first["context"]), tuple(exchanges))


def _any(models: Mapping[str, Sequence[Said_]]) -> Said_:
    return next(iter(models.values()))[0]


def _exchange(report: Report, models: Mapping[str, Sequence[Said_]]) -> PromptBlock:
    """One prompt: at most SHOWN_VARIANTS different replies of each model."""
    kept, more = [], 0
    for key, replies in models.items():
        variants = _variants(model_rows.name(report, key)[:60], replies)
        kept += variants[:SHOWN_VARIANTS]
        more += sum(said.times for said in variants[SHOWN_VARIANTS:])
    return PromptBlock(clean(_any(models)["instruction"], 200), tuple(kept), more)


def _variants(name: str, replies: Sequence[Said_]) -> list[ReplyCell]:
    """What a model said, each text once, the most frequent first."""
    same: dict[tuple[str, str], list[Said_]] = {}
    for said in sorted(replies, key=lambda said: said.get("sample") or 1):
        failure = "" if said["success"] else clean(said["failure"] or "failed", 120)
        same.setdefault((shown(said["reply"]), failure), []).append(said)
    ordered = sorted(same.items(), key=lambda item: -len(item[1]))
    return [
        ReplyCell(name, text, stats.median(_times(found)), failure, len(found)) for (text, failure), found in ordered
    ]


def _times(replies: Sequence[Said_]) -> list[float]:
    return [said["latency_ms"] for said in replies if said["latency_ms"] is not None]


# ------------------------------------------------------------------------------------------------- real turns


def _real(report: Report) -> dict[int, dict[str, list[Said_]]]:
    return _grid(report).get(REAL_TURNS, {})


def turn_notes(report: Report) -> list[str]:
    """How many turns of the owner's history were answered, from when, in how many conversations."""
    found = _real(report)
    if not found:
        return []
    chats = {said.get("chat") for models in found.values() for replies in models.values() for said in replies}
    cut = (report.comparison or {}).get("cut") or {}
    notes = [
        f"{len(found):,} incoming turns from {len(chats - {None}):,} of your conversations, each conversation one "
        "cluster; the models saw what came in and never your answer."
    ]
    if cut.get("at"):
        chosen = f"They were chosen from {cut['turns_after']:,} usable ones" if cut.get("turns_after") else "They lie"
        notes.append(f"{chosen} after {_moment(cut['at'])}.")
    if cut.get("own_before"):
        notes.append(f"Only your {cut['own_before']:,} messages before that moment say how you write.")
    return notes


def _moment(iso: Any) -> str:
    """2026-08-24 21:00, of an ISO time; as it is where it is none."""
    try:
        return dt.datetime.fromisoformat(str(iso)).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return clean(iso, 40)


def turns(report: Report) -> list[Turn]:
    """A dozen real turns, spread over all that were answered; those that more models answered go first."""
    found = _real(report)
    most = max((len(models) for models in found.values()), default=0)
    full = [place for place in sorted(found) if len(found[place]) == most]
    step = max(1, len(full) // SHOWN_TURNS)
    return [_turn(report, found[place]) for place in full[::step][:SHOWN_TURNS]]


def _turn(report: Report, models: Mapping[str, Sequence[Said_]]) -> Turn:
    first = _any(models)
    answer = next(
        (said["reference"] for said in (r for rs in models.values() for r in rs) if said.get("reference")), ""
    )
    return Turn(shown(first["context"]), shown(answer) or "your answer was not stored", _exchange(report, models))


# --------------------------------------------------------------------------------------------------- heat map


@dataclass(frozen=True)
class HeatCell:
    """One cell of the heat map."""

    text: str
    level: int  #: 0..10 of the value, -1 where nothing was measured


def heat_header(report: Report) -> list[str]:
    return ["Scenario", *(model_rows.name(report, key) for key, _ in model_rows.in_order(report))]


def heat_rows(report: Report) -> list[tuple[str, list[HeatCell]]]:
    """Share of the checks passed, scenario by model; the scenarios' own messages as names."""
    keys = [key for key, _ in model_rows.in_order(report)]
    values: dict[str, dict[str, list[float]]] = {}
    names: dict[str, str] = {}
    for key in keys:
        for said in report.models[key]["generations"]:
            if said["quality"] is not None:
                values.setdefault(said["scenario_id"], {}).setdefault(key, []).append(said["quality"])
            names.setdefault(said["scenario_id"], clean(said["context"], 60))
    names[REAL_TURNS] = "Turns of your own history"
    order = [scenario.get("id") for scenario in (report.comparison or {}).get("scenarios") or []]
    ids = sorted(values, key=lambda one: order.index(one) if one in order else len(order))
    return [(names[one], [_heat(values[one].get(key, [])) for key in keys]) for one in ids]


def _heat(values: Sequence[float]) -> HeatCell:
    mean = stats.mean(values)
    return HeatCell("–", -1) if mean is None else HeatCell(f"{mean:.2f}", max(0, min(10, round(10 * mean))))
