"""The job `report` itself: its files and the next round do not depend on each other."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jarvisd.paths import Home
from jarvisd.plugin import JobContext, Outcome
from jarvisd.store import database, queue
from jarvisd.store.models import Job, Run, Status
from jobs import report
from jobs.lib.comparison.load import load
from jobs.lib.results.tables import Cause, LeftOut, Reply
from tests.integration.report_nights import home, model, run

PLAN: dict[str, Any] = {
    "evaluate": {"models": [{"key": key} for key in "abc"], "scenarios": [], "rounds": "auto"},
    "report": {},
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Home]:
    yield home(tmp_path)
    database.db.close()


def night(plan: Mapping[str, Any] = PLAN) -> Run:
    """A run after its first round: three models, one of them without a complete reply."""
    row = run(plan=plan)
    for key in "abc":
        work = model(row, key, f"Model {key.upper()}")
        Job.update(params={"model": key}).where(Job.id == work.id).execute()
    Reply.update(success=False, failure="empty", quality=0.0).where(Reply.model == "c").execute()
    return row


def running(here: Home, row: Run, folder: Path) -> tuple[Job, JobContext]:
    """The report's job in its first attempt."""
    job: Job = Job.create(run=row, name="report", kind="report", place=9, params={}, status=Status.RUNNING, attempt=1)
    context = JobContext(
        home=here,
        run_id=row.id,
        job_id=job.id,
        job_name="report",
        attempt=1,
        round=1,
        params={},
        plan=PLAN,
        folder=folder,
        ends_by=None,
        log=logging.getLogger("test"),
    )
    return job, context


def settle(job: Job, status: Status, outcome: Outcome, attempt: int = 1) -> None:
    """As the worker commits the outcome and the daemon settles the job."""
    document = {
        "attempt": attempt,
        "ok": outcome.ok,
        "reason": outcome.reason,
        "next_round": [{"kind": kind, **spec.columns()} for kind, spec in outcome.next_round],
    }
    Job.update(outcome=document).where(Job.id == job.id).execute()
    queue.settle(Job.get_by_id(job.id), status, outcome.reason, database.now())


def names_of(row: Run, round_: int) -> list[str]:
    return [job.name for job in Job.select().where(Job.run == row, Job.round == round_).order_by(Job.place)]


def test_a_round_that_cannot_be_planned_leaves_the_report_as_it_is(here: Home, tmp_path: Path) -> None:
    row = night({**PLAN, "evaluate": {**PLAN["evaluate"], "turns": "many"}})
    _, context = running(here, row, tmp_path / "results")
    outcome = report.run(context)
    assert (outcome.ok, outcome.next_round) == (True, ())
    assert (tmp_path / "results" / "REPORT.md").read_text().startswith("# ")


def test_a_report_that_cannot_be_written_still_begins_the_next_round(here: Home, tmp_path: Path) -> None:
    """Its folder is a file: nothing can be written there. The models that the round leaves out are known."""
    row = night()
    (tmp_path / "results").write_text("in the way")
    job, context = running(here, row, tmp_path / "results")
    outcome = report.run(context)
    assert not outcome.ok and f"jarvisctl retry {job.id}" in outcome.reason
    assert load(row.id).left_out == {}  # the round has not begun
    settle(job, Status.FAILED, outcome)
    assert names_of(row, 2) == ["turns", "evaluate:b", "evaluate:a", "metrics", "report"]
    assert {key: left.cause for key, left in load(row.id).left_out.items()} == {"c": Cause.NO_COMPLETE_REPLY}


def test_a_report_that_failed_without_an_outcome_of_its_attempt_begins_no_round(here: Home, tmp_path: Path) -> None:
    """What an earlier attempt proposed may be out of date."""
    row = night()
    job, context = running(here, row, tmp_path / "results")
    outcome = report.run(context)
    assert outcome.next_round
    settle(job, Status.FAILED, outcome, attempt=0)
    assert names_of(row, 2) == []


def test_a_report_that_is_written_again_proposes_no_second_round(here: Home, tmp_path: Path) -> None:
    """The rows of the models that round 2 leaves out stay as they were when it began."""
    row = night()
    job, context = running(here, row, tmp_path / "results")
    settle(job, Status.SUCCEEDED, report.run(context))
    Reply.update(success=True, quality=0.9).where(Reply.model == "c").execute()
    Job.update(status=Status.RUNNING).where(Job.id == job.id).execute()
    assert report.run(context).next_round == ()
    assert [(left.round, left.model) for left in LeftOut.select()] == [(2, "c")]
