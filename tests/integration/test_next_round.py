"""The next round of a run: what a report proposes is stored once, with the report's settling."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jarvisd.paths import Home
from jarvisd.registry import JobSpec, Outcome
from jarvisd.store import database, queries, queue
from jarvisd.store.models import Job, Run, Status
from jarvisd.words import label
from jarvisd.worker import main as worker
from tests import claiming
from tests.claiming import claimed, finish

MakeRun = Callable[..., Run]


def proposing(report: Job, *names: str) -> Job:
    """A running report whose child has committed a next round of these evaluate jobs."""
    jobs = [{"kind": "evaluate", "name": name, "params": {"turns": [0, 8]}, "memory_mb": 7} for name in names]
    outcome = {"attempt": report.attempt, "ok": True, "reason": "", "next_round": jobs}
    Job.update(outcome=outcome).where(Job.id == report.id).execute()
    return Job.get_by_id(report.id)


def rows_of(run: Run) -> list[tuple[int, str, str]]:
    return [(job.round, job.name, str(job.status)) for job in queries.jobs_of(run)]


def test_the_round_that_a_report_proposes_is_due_from_its_settling_on(make_run: MakeRun) -> None:
    run = make_run("report")
    finish(proposing(claimed(), "evaluate:b", "evaluate:a"))
    assert rows_of(run) == [
        (1, "report", "succeeded"),
        (2, "evaluate:b", "queued"),
        (2, "evaluate:a", "queued"),
        (2, "report", "queued"),
    ]
    assert not queries.is_settled(run)
    first = claimed()
    assert (first.name, first.params, first.memory_mb) == ("evaluate:b", {"turns": [0, 8]}, 7)


def test_a_proposed_job_is_stored_with_every_field_of_its_spec(home: Home, make_run: MakeRun) -> None:
    run = make_run("report")
    context = claiming.claim(home)
    spec = JobSpec(name="evaluate:a", params={"n": 1}, memory_mb=7, timeout_s=9, attempts=2, env={"A": "1"})
    worker._commit(context, Outcome(next_round=(("evaluate", spec),)))
    finish(Job.get_by_id(context.job_id))
    row = queries.jobs_of(run)[1]
    assert (row.name, row.kind, row.params, row.memory_mb) == ("evaluate:a", "evaluate", {"n": 1}, 7)
    assert (row.timeout_s, row.max_attempts, row.env) == (9, 2, {"A": "1"})


def test_a_job_of_a_later_round_is_shown_with_its_round(make_run: MakeRun) -> None:
    run = make_run("report")
    finish(proposing(claimed(), "evaluate:a"))
    assert [label(job) for job in queries.jobs_of(run)] == ["report", "evaluate:a (round 2)", "report (round 2)"]


def test_a_round_begins_once_however_often_its_report_is_written(make_run: MakeRun) -> None:
    run = make_run("report")
    finish(proposing(claimed(), "evaluate:a"))
    finish(claimed())
    finish(claimed())
    queue.retry([queries.jobs_of(run)[0]])
    finish(proposing(claimed(), "evaluate:a"))
    assert len(queries.jobs_of(run)) == 3
    assert queries.is_settled(run)


@pytest.mark.parametrize(("end", "jobs"), [(Status.FAILED, 3), (Status.CANCELLED, 1)])
def test_a_report_that_failed_begins_the_round_that_it_proposed_and_a_cancelled_one_does_not(
    make_run: MakeRun, end: Status, jobs: int
) -> None:
    """What failed is the writing of its files; the comparison that asks for more replies was done."""
    run = make_run("report")
    finish(proposing(claimed(), "evaluate:a"), end)
    assert len(queries.jobs_of(run)) == jobs


def test_a_run_that_is_cancelled_while_its_report_ends_does_not_go_on(make_run: MakeRun) -> None:
    """The report may have committed its outcome before the owner's word reached it."""
    run = make_run("report")
    report = proposing(claimed(), "evaluate:a")
    queue.cancel_run(run, database.now())
    finish(report)
    assert rows_of(run) == [(1, "report", "succeeded")]


def test_a_report_that_has_to_be_written_again_begins_no_round_yet(make_run: MakeRun) -> None:
    """Another job of its round was queued again while it was written: it proposes anew when it has seen that one."""
    run = make_run("mine", "report")
    finish(claimed(), Status.FAILED)
    report = proposing(claimed(), "evaluate:a")
    queue.retry([queries.jobs_of(run)[0]])
    finish(report)
    assert rows_of(run) == [(1, "mine", "queued"), (1, "report", "queued")]


# ----------------------------------------------------------------------------------------- what somebody else did first
