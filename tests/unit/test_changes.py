"""What changed since the last run: measure by measure, on what both runs asked, by the same weights."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import pytest

from jobs.lib.comparison import pipeline
from jobs.lib.comparison.load import ReplyRow, TurnRow
from jobs.lib.comparison.rules import Rules
from jobs.lib.results.tables import REAL_TURNS
from jobs.report import diff
from jobs.report.diff import Changes, ModelFigureChange, RunResults
from jobs.report.rows import changes as change_rows
from tests.verdicts import EMPTY

BLANK = ReplyRow(**dict.fromkeys((each.name for each in fields(ReplyRow)), None))
AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def run(
    name: str,
    prompts: Mapping[str, Sequence[float]],
    turns: Mapping[str, tuple[int, float]] | None = None,
    *,
    weights: Mapping[str, float] | None = None,
) -> RunResults:
    """A run of one model: samples of each prompt by its message, and (conversation, value) of each turn."""
    rows = [
        _row(len(values) * 100 + sample, "work", place, context, value, sample)
        for place, (context, values) in enumerate(prompts.items())
        for sample, value in enumerate(values)
    ]
    chats = list((turns or {}).items())
    for place, (context, (_, value)) in enumerate(chats):
        row = _row(9000 + place, REAL_TURNS, place, context, 0.5, 0)
        rows.append(replace(row, metrics={"own_turns": value}))
    held_out = {place: TurnRow(place=place, chat=chat, answer="yo") for place, (_, (chat, _)) in enumerate(chats)}
    rules = Rules(measures=weights) if weights else Rules()
    data = replace(EMPTY, replies=tuple(rows), turns=held_out, rules=rules)
    return RunResults(run=name, comparison=pipeline.compare(data), templates=None)


def _row(number: int, scenario: str, place: int, context: str, quality: float, sample: int) -> ReplyRow:
    return replace(
        BLANK,
        id=number,
        round=1,
        model="a",
        scenario_id=scenario,
        prompt=place,
        sample=sample,
        context=context,
        instruction="Say yes",
        reply="ok",
        thinking=0,
        success=True,
        checks={},
        quality=quality,
        batched=False,
        created_at=AT,
        metrics={},
    )


def figures(changes: Changes) -> dict[str, ModelFigureChange]:
    return {row.figure: row for row in changes.figures}


PROMPTS = {f"hi {number}": [0.5, 0.6, 0.5, 0.4, 0.5] for number in range(6)}
BETTER = {context: [value + 0.2 for value in values] for context, values in PROMPTS.items()}
TURNS = {f"hey {number}": (number // 2, 0.4 + 0.01 * number) for number in range(20)}


def test_each_measure_is_compared_with_itself() -> None:
    """Instructions got better, own turns did not: two rows with their intervals, and quality by the weights."""
    changes = figures(diff.compare(run("old", PROMPTS, TURNS), run("new", BETTER, TURNS)))
    asked, own, quality = (changes[name] for name in ("instructions", "own_turns", "quality"))
    assert (asked.before, asked.now, asked.clusters) == (pytest.approx(0.5), pytest.approx(0.7), 6)
    assert asked.ci is not None and 0.1 < asked.ci[0] < 0.2 < asked.ci[1] < 0.3
    assert own.now == own.before and own.clusters == 10 and own.ci is not None and own.ci[0] <= 0 <= own.ci[1]
    assert quality.now - quality.before == pytest.approx(0.1)


def test_prompts_and_turns_that_one_run_alone_asked_do_not_count() -> None:
    """A night with harder turns is no change of a model."""
    other = TURNS | {f"other {number}": (20 + number, 0.0) for number in range(10)}
    changes = figures(diff.compare(run("old", PROMPTS, TURNS), run("new", PROMPTS | {"new": [0.0] * 5}, other)))
    for name in ("instructions", "own_turns", "quality"):
        assert changes[name].now == pytest.approx(changes[name].before)


def test_a_conversation_counts_once_under_the_number_that_the_new_run_gives_it() -> None:
    before = {context: (99, value) for context, (_, value) in TURNS.items()}
    changes = figures(diff.compare(run("old", PROMPTS, before), run("new", PROMPTS, TURNS)))
    assert changes["own_turns"].clusters == 10


def test_quality_is_not_compared_where_one_run_has_another_measure() -> None:
    """A night without turns and one with them: their qualities mean two things, their instructions one."""
    changes = diff.compare(run("old", PROMPTS), run("new", BETTER, TURNS))
    assert figures(changes).keys() & diff.MEASURES.keys() == {"instructions"}
    assert "Quality is not compared" in " ".join(change_rows.summary(changes, str))
    row = dict(zip(change_rows.figure_header(), change_rows.figure_rows(changes, str)[0], strict=True))
    assert row["Does what you ask"].startswith("0.50 → 0.70 (+0.20, likely +0.1")
    assert row["Does what you ask"].endswith("6 prompts)")
    assert row["Your own messages"] == row["Quality"] == "not measured"


def test_both_runs_are_weighed_as_this_one() -> None:
    """Other weights in the plan are no change of a model."""
    then = run("old", PROMPTS, TURNS, weights={"instructions": 0.9, "own_turns": 0.1})
    now = run("new", PROMPTS, TURNS, weights={"instructions": 0.1, "own_turns": 0.9})
    quality = figures(diff.compare(then, now))["quality"]
    assert quality.now == pytest.approx(quality.before)


def test_one_sample_per_prompt_has_no_interval() -> None:
    """Nothing was asked twice, so no variance was observed."""
    few = {context: values[:1] for context, values in list(PROMPTS.items())[:4]}
    assert figures(diff.compare(run("old", few), run("new", few)))["instructions"].ci is None
