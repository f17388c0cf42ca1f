"""Replies side by side: prompt by prompt, repeats collapsed, and the turns of the owner's own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.lib import stats
from jobs.lib.comparison.document import Generation
from jobs.lib.results.tables import REAL_TURNS
from jobs.report.escape import MAX_CHARACTERS, clean
from jobs.report.gather import Report
from jobs.report.rows import models as model_rows

SHOWN_VARIANTS = 3  #: different replies of one model to one prompt
SHOWN_TURNS = 12  #: examples of real turns
#: Readers of one reply that differ by more, of 0..1, do not agree on whether it can be sent.
FAR_APART = 0.5
HEAT_NOTE = "The checks alone: general checks times those of the instruction; a failed reply counts 0."


@dataclass(frozen=True)
class ReplyCell:
    """A reply of one model, once for all the times it said the same: its text, or why there is none."""

    model: str
    reply: str
    latency_ms: float | None  #: median of the timed ones
    failure: str  #: "" for a complete reply
    times: int = 1
    checks: int = 0  #: yes/no checks that it was given
    failed_checks: tuple[str, ...] = ()  #: the names of those that it does not pass


@dataclass(frozen=True)
class PromptBlock:
    """A prompt and what every model made of it."""

    instruction: str
    replies: tuple[ReplyCell, ...]
    more: int = 0  #: further replies that differ and are not shown
    spread: float = 0.0  #: quality by the checks of the best model less that of the worst, 0..1


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


def shown(text: str | None) -> str:
    """A text for a bubble: visible, on one line, and with a mark where it was cut."""
    whole = text or ""
    cleaned = clean(whole)
    left = len(whole) - MAX_CHARACTERS
    return f"{cleaned} [cut here, about {left:,} more characters]" if cleaned.endswith("…") and left > 0 else cleaned


def scenes(report: Report) -> list[ScenarioBlock]:
    """Every prompt of the scenarios, in the order of scenarios and models."""
    grid = _grid(report)
    order = _order(report)
    ids = [key for key in order if key in grid] + [key for key in grid if key not in order]
    return [_scene(report, grid[key]) for key in ids if key != REAL_TURNS]


#: scenario -> prompt -> key of the model -> its replies there
Grid = dict[str, dict[int, dict[str, list[Generation]]]]


def _grid(report: Report) -> Grid:
    grid: Grid = {}
    for key, model in report.models.items():
        for reply in model.generations:
            prompts = grid.setdefault(reply.scenario_id, {})
            prompts.setdefault(reply.prompt, {}).setdefault(key, []).append(reply)
    return grid


def _order(report: Report) -> list[str]:
    """The scenarios of the plan, by id."""
    return [scenario.id for scenario in (report.comparison.scenarios if report.comparison else ())]


def _scene(report: Report, prompts: Mapping[int, Mapping[str, Sequence[Generation]]]) -> ScenarioBlock:
    first = _any(next(iter(prompts.values())))
    exchanges = [_exchange(report, prompts[place]) for place in sorted(prompts)]
    return ScenarioBlock(clean(first.context), tuple(exchanges))


def _any(models: Mapping[str, Sequence[Generation]]) -> Generation:
    return next(iter(models.values()))[0]


def _exchange(report: Report, models: Mapping[str, Sequence[Generation]]) -> PromptBlock:
    """One prompt: at most SHOWN_VARIANTS different replies of each model."""
    kept, more = [], 0
    for key, replies in models.items():
        variants = _variants(model_rows.name(report, key)[:60], replies)
        kept += variants[:SHOWN_VARIANTS]
        more += sum(variant.times for variant in variants[SHOWN_VARIANTS:])
    return PromptBlock(clean(_any(models).instruction, 200), tuple(kept), more, _spread(models))


def _spread(models: Mapping[str, Sequence[Generation]]) -> float:
    """How far the models lie apart at a prompt; 0 where fewer than two were checked."""
    means = [
        stats.mean([reply.quality for reply in replies if reply.quality is not None]) for replies in models.values()
    ]
    known = [mean for mean in means if mean is not None]
    return max(known) - min(known) if known else 0.0


def _variants(name: str, replies: Sequence[Generation]) -> list[ReplyCell]:
    """The replies of a model, each text once, the most frequent first."""
    by_text: dict[tuple[str, str], list[Generation]] = {}
    for reply in sorted(replies, key=lambda reply: reply.sample):
        failure = "" if reply.success else clean(reply.failure or "failed", 120)
        by_text.setdefault((shown(reply.reply), failure), []).append(reply)
    ordered = sorted(by_text.items(), key=lambda item: -len(item[1]))
    return [
        ReplyCell(
            name, text, stats.median(_times(same)), failure, len(same), len(same[0].checks), _failed_checks(same[0])
        )
        for (text, failure), same in ordered
    ]


def _failed_checks(reply: Generation) -> tuple[str, ...]:
    return tuple(clean(name, 60) for name, passed in reply.checks.items() if not passed)


def _times(replies: Sequence[Generation]) -> list[float]:
    return [reply.latency_ms for reply in replies if reply.latency_ms is not None]


# ------------------------------------------------------------------------------------------------- real turns


def _real(report: Report) -> dict[int, dict[str, list[Generation]]]:
    return _grid(report).get(REAL_TURNS, {})


def turn_notes(report: Report) -> list[str]:
    """How many turns of the owner's history were answered, from when, in how many conversations."""
    asked = _real(report)
    if not asked:
        return []
    chats = {reply.chat for models in asked.values() for replies in models.values() for reply in replies}
    split = report.comparison.split if report.comparison else None
    notes = [
        f"{len(asked):,} incoming turns from {len(chats - {None}):,} of your conversations, of which each counts "
        "once; the models saw what came in and never your answer."
    ]
    if report.turn_examples:
        notes.append(f"Before each, every model was shown the same {report.turn_examples} of your earlier answers.")
    if split:
        after = split.at.astimezone().strftime("%Y-%m-%d %H:%M")
        notes.append(f"They were chosen from {split.turns_after:,} answered turns after {after}.")
        notes.append(f"Only your {split.own_before:,} messages before that moment say how you write.")
    return notes


def turns(report: Report) -> list[Turn]:
    """A dozen real turns, spread over all that were answered; those that more models answered go first."""
    asked = _real(report)
    most = max((len(models) for models in asked.values()), default=0)
    full = [place for place in sorted(asked) if len(asked[place]) == most]
    step = max(1, len(full) // SHOWN_TURNS)
    return [_turn(report, asked[place]) for place in full[::step][:SHOWN_TURNS]]


def _turn(report: Report, models: Mapping[str, Sequence[Generation]]) -> Turn:
    first = _any(models)
    answer = next((reply.reference for replies in models.values() for reply in replies if reply.reference), "")
    return Turn(shown(first.context), shown(answer) or "your answer was not stored", _exchange(report, models))


# --------------------------------------------------------------------------------------------------- heat map


@dataclass(frozen=True)
class HeatCell:
    """One cell of the heat map."""

    text: str
    level: int  #: 0..10 of the value, -1 where nothing was measured


def heat_header(report: Report) -> list[str]:
    return ["Scenario", *(model_rows.name(report, key) for key, _ in model_rows.in_order(report))]


def heat_note(report: Report) -> str:
    """What the heat map counts, and how often the readers of a reply lie far apart."""
    return " ".join([HEAT_NOTE, *_apart(report)])


def _apart(report: Report) -> list[str]:
    """A sentence where replies were read: by two readers, or by three with a judge."""
    read = [
        [value for value in (reply.quality, reply.reading, reply.letters) if value is not None]
        for key, _ in model_rows.in_order(report)
        for reply in report.models[key].generations
        if reply.success and reply.reading is not None
    ]
    if not read:
        return []
    far = sum(max(values) - min(values) > FAR_APART for values in read)
    readers = "the checks, the examples and the judge" if max(map(len, read)) > 2 else "the checks and the examples"
    return [f"On {far:,} of {len(read):,} replies {readers} lie more than {FAR_APART} of 1 apart."]


def heat_rows(report: Report) -> list[tuple[str, list[HeatCell]]]:
    """Share of the checks passed, scenario by model; the scenarios' own messages as names."""
    keys = [key for key, _ in model_rows.in_order(report)]
    values: dict[str, dict[str, list[float]]] = {}
    names: dict[str, str] = {}
    for key in keys:
        for reply in report.models[key].generations:
            if reply.quality is not None:
                values.setdefault(reply.scenario_id, {}).setdefault(key, []).append(reply.quality)
            names.setdefault(reply.scenario_id, clean(reply.context, 60))
    names[REAL_TURNS] = "Turns of your own history"
    order = _order(report)
    ids = sorted(values, key=lambda one: order.index(one) if one in order else len(order))
    return [(names[one], [_heat(values[one].get(key, [])) for key in keys]) for one in ids]


def _heat(values: Sequence[float]) -> HeatCell:
    mean = stats.mean(values)
    return HeatCell("–", -1) if mean is None else HeatCell(f"{mean:.2f}", max(0, min(10, round(10 * mean))))
