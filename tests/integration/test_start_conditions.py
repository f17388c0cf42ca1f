"""A run that waits for an instant, for a job or for another run, and runs with a priority."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest

from jarvisd.daemon import recovery
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.operations import control, retention
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.store import database, dependencies, queries, wakeup
from jarvisd.store.models import Dependency, Job, Run, Status
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


def after(target: Job | Run, *, any_end: bool = False) -> Dependency:
    run_id = target.id if isinstance(target, Run) else target.run_id
    return Dependency(of_run=run_id, of_job=None if isinstance(target, Run) else target.id, any_end=any_end)


def job_of(run: Run) -> Job:
    return queries.jobs_of(run)[0]


def skip_hopeless(home: Home) -> None:
    Supervisor(home, "here", Settings(), threading.Event()).skip_hopeless(database.now())


def test_a_run_waits_for_its_start_and_is_woken_up_for_then(make_run: MakeRun) -> None:
    start = database.now() + dt.timedelta(hours=3)
    run = make_run("command:late", start_at=start)
    assert due() is None
    assert not queries.wait_is_over(start - dt.timedelta(seconds=1))
    assert queries.wait_is_over(start)
    assert claimed(start).run_id == run.id


def test_a_run_begins_when_its_job_has_succeeded(make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    job = claimed()
    assert job.run_id == first.id
    assert due() is None
    finish(job)
    assert claimed().run_id == second.id


def test_a_run_after_a_run_waits_for_all_its_jobs(make_run: MakeRun) -> None:
    first = make_run("mine", "evaluate:a", "report")
    second = make_run("command:second", after=[after(first)], priority=5)
    for _ in range(3):
        job = claimed()
        assert job.run_id == first.id
        finish(job)
    assert claimed().run_id == second.id


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_run_is_skipped_with_the_reason_when_its_job_did_not_succeed(
    home: Home, make_run: MakeRun, status: Status
) -> None:
    first = make_run("command:first")
    second = make_run("command:second", "report", after=[after(job_of(first))])
    third = make_run("command:third", after=[after(second)])
    finish(claimed(), status)
    skip_hopeless(home)
    job, report = queries.jobs_of(second)
    assert (job.status, report.status) == (Status.SKIPPED, Status.QUEUED)
    assert f"{job_of(first).id} command:first {status}" in job.reason
    finish(claimed())  # the report: it waits for nothing that failed
    skip_hopeless(home)
    assert job_of(third).status == Status.SKIPPED


def test_with_any_end_a_run_begins_after_a_failure(make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first), any_end=True)])
    finish(claimed(), Status.FAILED)
    assert dependencies.failed() == []
    assert claimed().run_id == second.id


def test_the_end_of_a_job_wakes_the_worker_for_what_waits_for_it(home: Home, make_run: MakeRun) -> None:
    """Also where the user cancels it: the run that waits is skipped then."""
    first = make_run("command:first")
    make_run("command:second", after=[after(job_of(first))])
    storage = wakeup.messages("here").huey.storage
    storage.flush_all()
    control.cancel(home, job_of(first))
    assert storage.queue_size() == 1


def test_a_retry_of_the_awaited_job_is_waited_for_again(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    finish(claimed(), Status.FAILED)
    control.retry(home, job_of(first))
    skip_hopeless(home)
    assert job_of(second).status == Status.QUEUED
    finish(claimed())
    assert claimed().run_id == second.id


def test_a_retry_of_the_skipped_run_runs_it(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    finish(claimed(), Status.FAILED)
    skip_hopeless(home)
    control.retry(home, second)
    skip_hopeless(home)
    assert claimed().run_id == second.id


def test_a_fresh_retry_keeps_what_waits_for_the_job(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    finish(claimed())
    control.retry(home, job_of(first), fresh=True)
    assert claimed().run_id == first.id
    assert job_of(second).status == Status.QUEUED


def test_what_an_open_run_waits_for_is_not_pruned(home: Home, make_run: MakeRun) -> None:
    """Else nothing would tell how it ended."""
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    finish(claimed())
    assert retention.removable(0) == []
    assert retention.remove(home, [first]) == 0
    finish(claimed())
    assert [run.id for run in retention.removable(0)] == [first.id, second.id]


def test_a_run_whose_awaited_job_has_no_row_any_more_is_skipped(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:first")
    second = make_run("command:second", after=[after(job_of(first))])
    Run.delete().where(Run.id == first.id).execute()
    assert due() is None
    skip_hopeless(home)
    assert "was removed" in job_of(second).reason


def test_a_crash_keeps_the_order(home: Home, make_run: MakeRun) -> None:
    first = make_run("mine")
    second = make_run("command:second", after=[after(job_of(first))])
    claimed()
    recovery.recover(home)
    job = claimed()
    assert job.run_id == first.id
    finish(job)
    recovery.recover(home)
    assert claimed().run_id == second.id


def test_the_report_of_a_run_that_had_to_end_before_it_could_begin_is_due(home: Home, make_run: MakeRun) -> None:
    first = make_run("command:first")
    deadline = database.now() - dt.timedelta(minutes=1)
    second = make_run("mine", "report", after=[after(job_of(first))], deadline=deadline, priority=1)
    skip_hopeless(home)
    assert [job.status for job in queries.jobs_of(second)] == [Status.SKIPPED, Status.QUEUED]
    assert claimed().run_id == second.id


def test_a_run_of_nothing_but_a_report_waits_too(make_run: MakeRun) -> None:
    make_run("report", start_at=database.now() + dt.timedelta(hours=1))
    assert due() is None


def test_a_higher_priority_comes_before_a_deadline_and_before_age(make_run: MakeRun) -> None:
    low = make_run("command:low", priority=-1)
    normal = make_run("command:normal")
    urgent = make_run("command:urgent", deadline=database.now() + dt.timedelta(hours=1))
    high = make_run("command:high", priority=1)
    order = []
    while (job := due()) is not None:
        order.append(job.run_id)
        finish(job)
    assert order == [high.id, urgent.id, normal.id, low.id]
