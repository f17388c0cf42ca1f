"""Which starts of a job count, and when a job is not started again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from jarvisd.daemon import recovery
from jarvisd.daemon.attempt import EndReason
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.paths import Home
from jarvisd.plan.settings import Disk, Settings
from jarvisd.store import database, queue, transitions
from jarvisd.store.models import Job, Run, Status
from jarvisd.worker import main as worker
from jarvisd.worker.exit_codes import ExitCode
from tests import claiming
from tests.claiming import claimed, due, finish

MakeRun = Callable[..., Run]


def ended(home: Home, why: EndReason | None, code: int, *, begun: bool = True) -> Job:
    """The row after the next attempt ended so, without an outcome; `begun`: its own code was begun before that."""
    Job.update(not_before=None).execute()
    job = claimed()
    if begun and job.max_attempts is not None:
        transitions.record_work_began(job.id, job.attempt)
    Supervisor(home, "here", Settings(), threading.Event()).attempt(job).finish(why, code)
    return Job.get()


def crashed(home: Home, code: int, *, begun: bool = True) -> Job:
    """The row after the next attempt ended with that code and left no outcome; a wait before it is over."""
    return ended(home, None, code, begun=begun)


def stopped(home: Home, *, begun: bool = True) -> Job:
    """The row after the daemon was stopped while the next attempt ran."""
    return ended(home, EndReason.STOP, -signal.SIGTERM, begun=begun)


def test_a_crash_that_may_pass_is_tried_again_after_a_pause_that_grows(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    for pause_s in (2, 30):
        job = crashed(home, -signal.SIGKILL)
        assert job.status == Status.QUEUED
        assert pause_s - 2 < (job.not_before - database.now()).total_seconds() <= pause_s
        assert due() is None
    assert crashed(home, -signal.SIGKILL).status == Status.FAILED


def test_a_child_that_ended_with_an_exit_code_of_its_own_is_not_tried_again(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    job = crashed(home, 3)
    assert (job.status, job.attempt) == (Status.FAILED, 1)
    assert "exit code 3" in job.reason


def test_a_start_that_never_ran_counts_neither_as_an_attempt_nor_as_without_progress(
    home: Home, make_run: MakeRun
) -> None:
    """The daemon died between the claim and the child's go-ahead."""
    make_run("command:x")
    Job.update(max_attempts=2).execute()
    claimed()
    recovery.recover(home)
    assert (Job.get().status, Job.get().attempt, Job.get().starts_without_progress) == (Status.QUEUED, 1, 0)
    assert crashed(home, -signal.SIGKILL).status == Status.QUEUED
    assert crashed(home, -signal.SIGKILL).status == Status.FAILED


def test_a_retried_program_has_all_its_attempts_again(home: Home, make_run: MakeRun) -> None:
    make_run("command:x")
    Job.update(max_attempts=2).execute()
    finish(claimed(), Status.FAILED)
    queue.retry([Job.get()])
    assert crashed(home, -signal.SIGKILL).status == Status.QUEUED
    assert crashed(home, -signal.SIGKILL).status == Status.FAILED


@pytest.mark.parametrize(("attempts", "status"), [(None, Status.QUEUED), (2, Status.QUEUED), (1, Status.FAILED)])
def test_a_program_that_may_run_once_is_not_run_twice_because_its_daemon_was_stopped(
    home: Home, make_run: MakeRun, attempts: int | None, status: Status
) -> None:
    make_run("command:x")
    Job.update(max_attempts=attempts).execute()
    job = stopped(home)
    assert (job.status, job.reason.partition(",")[0]) == (status, "interrupted: jarvisd was stopped")


@pytest.mark.parametrize("end", [stopped, lambda home: crashed(home, -signal.SIGKILL)])
def test_a_limit_of_attempts_counts_every_start_of_the_program_also_those_that_a_stop_ended(
    home: Home, make_run: MakeRun, end: Callable[[Home], Job]
) -> None:
    make_run("command:x")
    Job.update(max_attempts=3).execute()
    assert [end(home).status for _ in range(3)] == [Status.QUEUED, Status.QUEUED, Status.FAILED]


@pytest.mark.parametrize(
    "end", [lambda home: stopped(home, begun=False), lambda home: crashed(home, -signal.SIGKILL, begun=False)]
)
def test_a_start_that_ended_before_the_program_was_begun_is_given_back(
    home: Home, make_run: MakeRun, end: Callable[[Home], Job]
) -> None:
    make_run("command:x")
    Job.update(max_attempts=1).execute()
    for _ in range(transitions.MAX_STARTS_GIVEN_BACK):
        assert end(home).status == Status.QUEUED
    assert crashed(home, -signal.SIGKILL).status == Status.FAILED


def test_a_process_that_dies_before_its_program_each_time_is_not_started_for_ever(
    home: Home, make_run: MakeRun
) -> None:
    make_run("command:x")
    Job.update(max_attempts=1).execute()
    ends = [crashed(home, -signal.SIGKILL, begun=False).status for _ in range(transitions.MAX_STARTS_GIVEN_BACK + 1)]
    assert ends == [Status.QUEUED] * transitions.MAX_STARTS_GIVEN_BACK + [Status.FAILED]


@pytest.mark.parametrize(("begun", "status"), [(False, Status.QUEUED), (True, Status.FAILED)])
def test_a_program_that_was_not_begun_when_its_daemon_died_is_started_by_the_next_one(
    home: Home, make_run: MakeRun, begun: bool, status: Status
) -> None:
    make_run("command:x")
    Job.update(max_attempts=1).execute()
    job = claimed()
    transitions.record_child(job, 4242, 1.0)
    if begun:
        transitions.record_work_began(job.id, job.attempt)
    recovery.recover(home)
    assert Job.get().status == status


def test_a_worker_records_that_its_program_begins_before_it_begins(home: Home, make_run: MakeRun) -> None:
    make_run("command:x")
    Job.update(max_attempts=1, params={"program": ["/no/such"], "cwd": "/", "env": {}}).execute()
    context = claiming.claim(home)
    assert not Job.get().work_began
    assert not worker._run(context, "command", is_limited=True).ok
    assert Job.get().work_began
    assert claimed_again(context.job_id).work_began is False


def claimed_again(job_id: int) -> Job:
    """The next attempt of that job, which inherits nothing."""
    queue.requeue(Job.get_by_id(job_id), None)
    return Job.get_by_id(claimed().id)


def test_a_start_that_a_stop_interrupts_does_not_count_as_without_progress(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    for _ in range(transitions.MAX_STARTS_WITHOUT_PROGRESS + 1):
        stopped(home)
    assert (Job.get().status, Job.get().starts_without_progress) == (Status.QUEUED, 0)


def test_a_job_that_was_claimed_while_the_daemon_stops_is_not_started(home: Home, make_run: MakeRun) -> None:
    make_run("command:x")
    Job.update(max_attempts=1).execute()
    stopping = threading.Event()
    watch = Supervisor(home, "here", Settings(disk=Disk(keep_free_mb=0)), stopping).attempt(claimed())
    stopping.set()
    watch.run()
    assert (Job.get().status, Job.get().attempt_base, Job.get().starts_without_progress) == (Status.QUEUED, 1, 0)
    assert not home.job_log(watch.job.id).exists()


def test_an_outcome_that_could_not_be_stored_is_given_as_the_reason(home: Home, make_run: MakeRun) -> None:
    make_run("mine")
    job = crashed(home, ExitCode.NOT_STORED)
    assert (job.status, job.reason) == (
        Status.FAILED,
        "its outcome could not be stored; `jarvisctl logs` shows why",
    )
