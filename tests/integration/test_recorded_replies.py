"""Recorded replies with a person's grade, compared as replies of two models: the better win, equal ones tie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.plugin import PlanContext
from jarvisd.store.models import Run
from jobs.evaluate import scenarios
from jobs.evaluate.metrics.readings import METRIC
from jobs.evaluate.scenarios import ResolvedScenarios
from jobs.evaluate.scoring import Answer, Scorer
from jobs.lib.comparison import pipeline
from jobs.lib.comparison.document import Verdict
from jobs.lib.results.tables import ModelLoad, Reply, Score
from tests.integration.report_nights import START, home, job, run

GRADED = Path(__file__).parents[1] / "fixtures" / "graded_replies.jsonl"
SAMPLES = 4

#: (scenario, instruction) -> replies
Replies = Mapping[tuple[str, str], Sequence[str]]


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> ResolvedScenarios:
    here = Home(tmp_path_factory.mktemp("sheet"), "--home")
    return scenarios.load("scenarios.yaml", PlanContext(home=here, folder=here.root, messages=here.root / "chat.db"))


@pytest.fixture(scope="module")
def scorer(sheet: ResolvedScenarios) -> Scorer:
    return Scorer(sheet)


def recorded(*grades: int) -> dict[tuple[str, str], list[str]]:
    """The recorded replies of these grades, by prompt, in the order of the file."""
    replies: dict[tuple[str, str], list[str]] = {}
    for line in GRADED.read_text().splitlines():
        row = json.loads(line)
        if row["grade"] in grades:
            replies.setdefault((row["scenario"], row["instruction"]), []).append(row["reply"])
    return replies


def store(row: Run, key: str, replies: Replies, sheet: ResolvedScenarios, scorer: Scorer) -> None:
    """The replies as those of a model, each prompt SAMPLES times, scored by both readers."""
    work = job(row, f"evaluate:{key}")
    ModelLoad.create(job=work, run=row, model=key, info={"name": key}, load_time_s=1.0)
    for scenario in sheet.scenarios:
        for place, prompt in enumerate(scenario.prompts):
            texts = replies[scenario.id, prompt.instruction][:SAMPLES]
            scores = scorer.score([Answer(scenario=scenario, prompt=prompt, raw=text) for text in texts])
            for sample, (text, score) in enumerate(zip(texts, scores, strict=True), start=1):
                reply = Reply.create(
                    job=work,
                    run=row,
                    model=key,
                    scenario_id=scenario.id,
                    prompt=place,
                    sample=sample,
                    context=scenario.context,
                    instruction=prompt.instruction,
                    rendered="",
                    seed=sample,
                    reply=text,
                    success=True,
                    checks=score.checks,
                    quality=score.checks_value,
                    latency_ms=900.0,
                    created_at=START,
                )
                Score.create(reply=reply, metric=METRIC, value=score.value)


def compared(tmp_path: Path, sheet: ResolvedScenarios, scorer: Scorer, **models: Replies) -> Verdict:
    """The verdict about models of these replies; the first is the one in use."""
    home(tmp_path)
    row = run(plan={"evaluate": {"models": [{"key": key} for key in models]}})
    for key, replies in models.items():
        store(row, key, replies, sheet, scorer)
    return pipeline.of_run(row.id).verdict


def test_good_replies_win_over_bad_ones_and_the_report_says_switch(
    tmp_path: Path, sheet: ResolvedScenarios, scorer: Scorer
) -> None:
    verdict = compared(tmp_path, sheet, scorer, bad=recorded(0, 1), good=recorded(3, 4))
    assert (verdict.action, verdict.pick, verdict.winner, verdict.present) == ("switch", "good", "good", "bad")
    assert verdict.recommended and verdict.p_best is not None and verdict.p_best > 0.95


def test_the_same_replies_under_two_names_have_no_winner(
    tmp_path: Path, sheet: ResolvedScenarios, scorer: Scorer
) -> None:
    good = recorded(3, 4)
    verdict = compared(tmp_path, sheet, scorer, one=good, other=good)
    assert (verdict.winner, verdict.action) == (None, "keep")
    assert verdict.p_best == pytest.approx(0.5, abs=0.02)


def test_other_replies_of_the_same_grade_have_no_winner(
    tmp_path: Path, sheet: ResolvedScenarios, scorer: Scorer
) -> None:
    """Every second good reply against the others: as two runs of one model."""
    good = recorded(3, 4)
    one, other = ({prompt: texts[start::2] for prompt, texts in good.items()} for start in (0, 1))
    verdict = compared(tmp_path, sheet, scorer, one=one, other=other)
    assert verdict.winner is None and verdict.action != "switch"
    assert verdict.p_best is not None and verdict.p_best < 0.9
