"""A comparison whose models ran on several machines: quality alone ranks them, and no time is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store import machines
from jarvisd.store.models import Job, Machine, Run
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.load import load
from jobs.report import diff
from jobs.report.first_screen.ranking import ranking
from jobs.report.gather import gather
from jobs.report.rows import pairs as pair_rows
from tests.integration.report_nights import home, model, run
from tests.integration.test_report_verdict import both_pages, shares

SENTENCE = (
    "The models ran on several Macs, so quality alone ranks them and their times are not compared: "
    "Model A on mini, Model B on studio, Model C on mini."
)


@pytest.fixture
def here(tmp_path: Path) -> Home:
    made = home(tmp_path)
    for number, name in (("1", "mini"), ("2", "studio")):
        machines.register(number, name, "1.0", {})
    return made


def night(places: str, name: str = "2026-11-22-overnight", **plan: object) -> Run:
    """Two models that are about equally good, the second one faster, each on the machine of its place."""
    row = run(name, plan={"report": {"present": "c", **plan}})
    model(row, "a", "Model A", qualities=shares([0.9, 0.88, 0.9, 0.9, 0.9]), latency_ms=19000)
    model(row, "b", "Model B", qualities=shares([0.88, 0.9, 0.88, 0.9, 0.88]), latency_ms=1200)
    model(row, "c", "Model C", qualities=shares([0.3, 0.3, 0.4, 0.3, 0.3]), latency_ms=100)
    for key, machine in zip("abc", places, strict=True):
        of_model = (Job.run == row.id) & (Job.name == f"evaluate:{key}")
        Job.update(machine=machine, params={"model": key}).where(of_model).execute()
    return row


def test_the_report_names_the_machine_of_each_model_and_gives_no_difference_of_their_times(here: Home) -> None:
    row = night("121")
    for shown in both_pages(row, here):
        assert SENTENCE in shown
        assert "sooner" not in shown
        assert "latency-quality" not in shown
        assert "Weights of the plan" not in shown
    report = gather(row.id, here)
    assert [ranked.seconds for ranked in ranking(report)] == ["–", "–", "–"]
    assert not any(ranked.parts for ranked in ranking(report))
    assert {name: place for name, _, place in pair_rows.group_rows(report)}["Model A"] == "–"


def test_on_one_machine_nothing_is_said_and_times_count(here: Home) -> None:
    row = night("111", gates={"p95_ms": 20000})
    assert load(row.id).rules.gates["p95_ms"] == 20000
    for shown in both_pages(row, here):
        assert "several Macs" not in shown
        assert "Model B answers" in shown


def test_quality_alone_ranks_and_the_limit_of_time_is_not_asked(here: Home) -> None:
    """A reply may be slow because its machine is."""
    row = night("121", gates={"p95_ms": 1000})
    assert load(row.id).rules.gates["p95_ms"] is None
    document = pipeline.of_run(row.id)
    assert (document.ranking[0], document.by_weights, document.stability) == ("a", (), None)
    assert [document.models[key].machine for key in "abc"] == ["mini", "studio", "mini"]
    assert all(each.stats.p50_latency_ms for each in document.models.values())


@pytest.mark.parametrize("places", ["112", "111"])
def test_ids_of_a_database_of_one_machine_are_no_names(here: Home, places: str) -> None:
    """There an id changes when var/machine-id was lost."""
    row = night(places)
    Machine.update(name=None).execute()
    data = load(row.id)
    assert (data.machines, data.is_spread) == ({}, False)


def test_the_times_of_a_model_are_not_compared_with_those_that_it_had_on_another_machine(here: Home) -> None:
    """It ran there on the night before; its quality and its memory are compared."""
    nights = [night(places, f"2026-11-{day}-overnight") for day, places in ((21, "111"), (22, "121"))]
    then, now = (
        diff.RunResults(run=row.id, comparison=pipeline.compare(load(row.id)), templates=None) for row in nights
    )
    changes: dict[str, set[str]] = {}
    for change in diff.compare(then, now).figures:
        changes.setdefault(change.model, set()).add(change.figure)
    assert changes["a"] >= {"p50_latency_ms", "quality", "success_rate"}
    assert changes["a"] - changes["b"] == {"p50_latency_ms", "tokens_per_second"}
