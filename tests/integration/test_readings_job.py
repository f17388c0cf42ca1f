"""The second reading as the metrics job stores it, with the scenarios that come with the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Run
from jarvisd.worker.context import JobContext
from jobs.evaluate.metrics import job
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.lib.comparison import pipeline
from jobs.lib.results.tables import ReferenceScore, Score
from tests.integration.metric_runs import add, make_messages, starter
from tests.unit.test_reader import sheet

__all__ = ["sheet"]


@pytest.fixture
def context(home: Home, make_run: Callable[..., Run], tmp_path: Path, sheet: ResolvedScenarios) -> JobContext:
    """A run whose plan holds the scenarios and names no embedder."""
    begun = starter(home, make_run, tmp_path, make_messages(tmp_path))(None)
    begun.plan["evaluate"] |= sheet.as_json()
    return begun


def answer_all(context: JobContext, sheet: ResolvedScenarios, model: str, text: str | None = None) -> None:
    """The same text to every prompt; without one a good example of each."""
    for scenario in sheet.scenarios:
        for place, prompt in enumerate(scenario.prompts):
            reply = text or prompt.examples.good[0]
            add(context, reply, model=model, scenario_id=scenario.id, place=place, quality=0.5, finish_reason="stop")


def test_every_reply_to_a_scenario_is_read_by_one_reader(context: JobContext, sheet: ResolvedScenarios) -> None:
    """All of them anew each time, and the values are those that count."""
    sheet = sheet.model_copy(update={"scenarios": sheet.scenarios[:3]})
    context.plan["evaluate"] |= sheet.as_json()
    answer_all(context, sheet, "good")
    answer_all(context, sheet, "rude", "fuck off")
    job.measure(context)
    outcome = job.measure(context)
    rows = list(Score.select().where(Score.metric == "reading"))
    assert len(rows) == outcome.summary["reading"] == 2 * sum(len(scenario.prompts) for scenario in sheet.scenarios)
    assert all({"checks", "reader", "disagreement"} == set(row.parts) for row in rows)
    models = pipeline.of_run(context.run_id).as_json()["models"]
    assert models["good"]["stats"]["instructions"]["value"] > 0.8
    assert models["rude"]["stats"]["instructions"]["value"] == 0


def test_the_best_canned_reply_is_stored_once(context: JobContext, sheet: ResolvedScenarios) -> None:
    """By both readers, and by the checks alone; whoever sends it to everything is not recommended."""
    for model, text in (("a", "Sounds good!"), ("b", "ok")):
        answer_all(context, sheet, model, text)
    job.measure(context)
    job.measure(context)
    rows = {row.metric: row.value for row in ReferenceScore.select().where(ReferenceScore.reference == "canned")}
    assert set(rows) == {"instructions", "checks"} and rows["checks"] == pytest.approx(0.526, abs=0.01)
    document = pipeline.of_run(context.run_id).as_json()
    assert document["references"]["canned"]["instructions"]["value"] == rows["instructions"]
    assert document["models"]["a"]["stats"]["instructions"]["value"] == pytest.approx(rows["instructions"])
    assert not document["verdict"]["recommended"]
