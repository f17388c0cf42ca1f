"""What changed since the last run, on documents small enough to check by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from jobs.lib.comparison import pipeline
from jobs.lib.comparison.document import Generation
from jobs.lib.results.tables import REAL_TURNS
from jobs.report import diff
from jobs.report.diff import ModelFigureChange, RunResults
from jobs.report.rows import changes as change_rows
from tests.verdicts import EMPTY

BLANK = Generation(**dict.fromkeys((each.name for each in fields(Generation)), None))


def run(name: str, *replies: tuple[str, str, float, int | None]) -> RunResults:
    """A run of one model that gave these replies: (scenario, context, share of checks, conversation)."""
    generations = tuple(
        replace(BLANK, scenario_id=scenario, context=context, instruction="", quality=share, chat=chat)
        for scenario, context, share, chat in replies
    )
    blank = pipeline.compare(EMPTY).document
    model = replace(blank.models["a"], info={"name": "A"}, generations=generations)
    return RunResults(run=name, comparison=replace(blank, models={"a": model}), templates=None)


def checks(then: RunResults, now: RunResults) -> ModelFigureChange:
    [row] = [row for row in diff.compare(then, now).figures if row.figure == "checks"]
    return row


def test_a_conversation_is_one_cluster_however_many_turns_it_has() -> None:
    """The new run numbers it; the numbers of the old run were given to other conversations."""
    turns = [(REAL_TURNS, f"hey {number}", number < 3, number // 3) for number in range(6)]
    before = [(scenario, context, 0.0, 9) for scenario, context, _, _ in turns]
    row = checks(run("old", ("dinner", "hi", 0.0, None), *before), run("new", ("dinner", "hi", 0.0, None), *turns))
    assert row.clusters == 3
    assert row.now == pytest.approx(1 / 3)  # of one scenario and two conversations, not 3 of 7 prompts


def test_the_change_is_the_middle_of_its_interval() -> None:
    """Before, now and the change weigh every cluster the same, whatever the number of its prompts."""
    big = [("work", f"hi {number}", 0.5, None) for number in range(9)]
    small = [(name, "hi", 0.5, None) for name in ("dinner", "milk")]
    after = [
        (scenario, context, 1.0 if scenario == "work" else 0.5, None) for scenario, context, _, _ in [*big, *small]
    ]
    row = checks(run("old", *big, *small), run("new", *after))
    assert (row.before, row.now) == pytest.approx((0.5, 2 / 3))
    assert sum(row.ci or ()) / 2 == pytest.approx(row.now - row.before)
    changes = diff.compare(run("old", *big, *small), run("new", *after))
    assert change_rows.figure_rows(changes, str)[0][1].startswith("0.50 → 0.67 (+0.17, 95 %")
