"""A model that left after the first round beside two that went on to harder prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.store.models import Job, Run
from jobs.lib.results.tables import REAL_TURNS, Cause, HeldOutTurn, LeftOut, Reply, Score
from jobs.report.charts import models as model_charts
from jobs.report.formats import markdown
from jobs.report.gather import Report, gather
from jobs.report.rows import models as model_rows
from jobs.report.rows import run as run_rows
from tests.integration.report_nights import SCENARIOS, START, home, job, model, run
from tests.integration.report_pages import rendered

TURNS = 20


def night(samples: int = 1) -> Run:
    """Real turns are harder for all: the leader reaches 0.90 on scenarios and 0.60 on turns, in half the time."""
    row = run(plan={"report": {"present": "qwen2.5-1.5b"}})
    for place in range(TURNS):
        HeldOutTurn.create(run=row, place=place, chat=place // 2, incoming=f"hey {place}", answer="yo", sent_at=START)
    for key, name, scenarios, turns, latency in (
        ("qwen3-4b", "Qwen3 4B", 0.9, 0.6, 2000),
        ("smollm3-3b", "SmolLM3", 0.8, 0.5, 1000),
        ("qwen2.5-1.5b", "Qwen2.5 1.5B", 0.85, None, 1500),
    ):
        qualities = {one: [scenarios] * len(instructions) for one, (_, instructions) in SCENARIOS.items()}
        work = model(row, key, name, qualities=qualities, latency_ms=latency)
        for place in range(TURNS if turns is not None else 0):
            _turn(row, work, key, place, turns or 0.0, latency / 2)
    job(row, "metrics", round=2, kind="evaluate")
    LeftOut.create(run=row, round=2, model="qwen2.5-1.5b", cause=Cause.NO_COMPLETE_REPLY, details={})
    return row


def _turn(row: Run, work: Job, key: str, place: int, quality: float, latency: float) -> None:
    given = Reply.select().where(Reply.run == row, Reply.model == key).dicts().first()
    values: dict[str, Any] = given | {"scenario_id": REAL_TURNS, "prompt": place, "context": f"Friend: hey {place}"}
    values |= {"job": work, "run": row, "quality": quality, "latency_ms": latency, "round": 2}
    reply = Reply.create(**{name: value for name, value in values.items() if name != "id"})
    Score.create(reply=reply, metric="own_turns", value=quality)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    here = home(tmp_path)
    row = night()
    rendered(row, here)
    return gather(row.id, here)


def test_a_model_that_left_stands_as_if_it_had_been_asked_the_rest(report: Report) -> None:
    """It has its own instructions, and the mean of the others on the turns; its time shrinks as the leader's."""
    own, leader = report.models["qwen2.5-1.5b"].stats, report.models["qwen3-4b"].stats
    common = own.common
    assert common is not None and leader.quality is not None and leader.p50_latency_ms is not None
    assert own.instructions.value == pytest.approx(0.85) and own.own_turns.value is None
    assert own.quality == pytest.approx((0.85 + 0.55) / 2) and leader.quality == pytest.approx((0.9 + 0.6) / 2)
    assert (common.quality, common.quality_ci) == (own.quality, None)
    assert (common.leader, common.answered, common.asked) == ("qwen3-4b", 13, 13 + TURNS)
    both = leader.p50_latency_ms / 2037  # its median on the scenarios alone
    assert common.p50_latency_ms == pytest.approx((own.p50_latency_ms or 0) * both)
    assert (common.avg_latency_ms or 0) < (own.avg_latency_ms or 0)


def test_a_model_that_was_asked_everything_keeps_its_own_figures(report: Report) -> None:
    for key in ("qwen3-4b", "smollm3-3b"):
        stats = report.models[key].stats
        for name in ("quality", "quality_ci", "p50_latency_ms", "avg_latency_ms"):
            assert getattr(stats.common, name) == pytest.approx(getattr(stats, name), abs=1e-12), (key, name)


def test_the_page_does_not_contradict_itself(report: Report) -> None:
    """The winner is neither beaten on the chart nor behind in "old and new", and the row says what it rests on."""
    assert report.comparison is not None and report.comparison.verdict.winner == "qwen3-4b"
    best = [point.name for point in model_charts.frontier(model_charts.points(report))]
    assert best == ["SmolLM3", "Qwen2.5 1.5B", "Qwen3 4B"]
    contrast = run_rows.contrasts(report)[2]
    assert contrast.before.startswith("0.70 (Qwen2.5 1.5B")
    assert contrast.now == "0.75 (Qwen3 4B, the winner)"
    rows = {row[0]: dict(zip(model_rows.header(report), row, strict=True)) for row in model_rows.rows(report)}
    assert rows["Qwen2.5 1.5B"]["Quality (95 % interval)"].startswith("0.70")
    assert "on 13 of 33 prompts" in rows["Qwen2.5 1.5B"]["Marks"]
    assert "prompts" not in rows["SmolLM3"]["Marks"]
    assert "the others tell how hard the rest was" in markdown.models(report)


def test_weights_are_judged_on_common_ground(report: Report) -> None:
    """By its own mean the model that left would be first for almost any weight of quality."""
    assert report.comparison is not None
    assert report.comparison.stability is not None and report.comparison.stability.low == 0.0


def test_without_a_winner_the_first_by_the_numbers_stands_against_the_old_one(report: Report) -> None:
    """Never the highest mean: that one may have answered the easy prompts alone."""
    assert report.comparison is not None
    undecided = replace(report.comparison, verdict=replace(report.comparison.verdict, winner=None, pick=None))
    assert (
        run_rows.contrasts(replace(report, comparison=undecided))[2].now == "0.75 (Qwen3 4B, the first of 3 by quality)"
    )


def test_one_model_alone_and_one_without_a_reply(tmp_path: Path) -> None:
    here: Home = home(tmp_path)
    row = run()
    model(row, "only", "Only")
    model(row, "mute", "Mute", only=())
    models = gather(row.id, here).models
    only = models["only"].stats
    assert only.common is not None and only.common.quality == only.quality
    assert models["mute"].stats.common is None


def test_the_ends_of_an_interval_stay_between_0_and_1(tmp_path: Path) -> None:
    here: Home = home(tmp_path)
    row = run()
    model(row, "a", "A", qualities={key: [0.99 * (key != "running-late")] * 3 for key in SCENARIOS})
    model(row, "b", "B", qualities={key: [0.02 * (key == "running-late")] * 3 for key in SCENARIOS})
    for reply in list(Reply.select().dicts()):
        again = {name: value for name, value in reply.items() if name != "id"}
        Reply.create(**again | {"sample": 2, "quality": round(1 - reply["quality"])})
    report = gather(row.id, here)
    ends = [end for one in report.models.values() for end in one.stats.quality_ci or ()]
    assert len(ends) == 4 and all(0 <= end <= 1 for end in ends)
    assert all(" to " in row[4] for row in model_rows.rows(report))


def test_a_first_token_is_a_median_like_its_neighbours(tmp_path: Path) -> None:
    here: Home = home(tmp_path)
    row = run()
    model(row, "a", "A")
    Reply.update(ttft_ms=9000.0).where(Reply.prompt == 0, Reply.scenario_id == "running-late").execute()
    [line] = model_rows.speed_rows(gather(row.id, here))
    assert dict(zip(model_rows.SPEED_HEADER, line, strict=True))["First token"] == "222 ms"


def test_what_an_interval_takes_as_independent_is_said(tmp_path: Path) -> None:
    """Several samples of one prompt are alike; overlapping bars of the chart are no tie."""
    here: Home = home(tmp_path)
    row = run()
    model(row, "a", "A")
    told = dict(run_rows.method_rows(gather(row.id, here)))["Complete replies"]
    assert "samples" not in told
    Reply.update(sample=2).where(Reply.prompt == 2).execute()
    report = gather(row.id, here)
    assert "several samples of one prompt as independent" in dict(run_rows.method_rows(report))["Complete replies"]
    assert "overlapping bars do not mean a tie (see Every pair)" in model_charts.latency_quality(report).caption


def test_the_present_model_is_the_one_that_the_plan_names(tmp_path: Path) -> None:
    """Whatever it is called; without a name no model stands in its place."""
    here: Home = home(tmp_path)
    for name, section, before in (
        ("one", {"present": "smollm3-3b"}, "0.65 (SmolLM3"),
        ("two", {}, "not measured"),
    ):
        row = run(f"2026-11-22-{name}", plan={"report": section})
        model(row, "qwen2.5-1.5b", "Qwen2.5", qualities={key: [0.9] * 3 for key in SCENARIOS})
        model(row, "smollm3-3b", "SmolLM3", qualities={key: [0.65] * 3 for key in SCENARIOS})
        assert run_rows.contrasts(gather(row.id, here))[2].before.startswith(before)


def test_what_is_left_is_left_of_the_memory_of_the_machine(tmp_path: Path) -> None:
    """A Mac with 16 GB is not told what 8 GB would leave."""
    here: Home = home(tmp_path)
    row = run()
    row.snapshot = row.snapshot | {"machine": {"memory_mb": 16384}}
    row.save()
    model(row, "a", "A")
    report = gather(row.id, here)
    line = dict(zip(model_rows.header(report), model_rows.rows(report)[0], strict=True))
    peak = model_rows.peak_mb(report.models["a"].stats)
    assert peak is not None and line["Left of 16 GB"] == f"{(16384 - peak) / 1024:.2f} GB"
    assert model_rows.memory_header(report)[4] == "Left of 16 GB"


def test_no_old_figure_stands_in_a_report_that_did_not_store_it(tmp_path: Path) -> None:
    """Coverage and use of templates before the run come from the run's own results."""
    here: Home = home(tmp_path)
    row = run()
    model(row, "a", "A")
    report = gather(row.id, here)
    assert [contrast.before for contrast in run_rows.contrasts(report)] == ["not measured"] * 4
    assert [line[0] for line in run_rows.coverage_rows(report)] == ["Held out", "Old definition (in-sample)"]
