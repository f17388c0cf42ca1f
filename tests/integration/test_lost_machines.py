"""A machine that is lost, or only sleeps: what others do for its jobs, and what it finds when it wakes."""

from __future__ import annotations

import datetime as dt
import threading

import pytest

from jarvisd.daemon import loss, recovery
from jarvisd.daemon.attempt import Attempt, EndReason
from jarvisd.daemon.supervisor import Supervisor
from jarvisd.errors import StaleAttempt
from jarvisd.operations import control, queue_order, this_machine
from jarvisd.paths import Home
from jarvisd.plan.settings import Settings
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import database, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status
from tests.fleets import SubmitSpecs, claimed_by, fall_silent, join, won_by

SPREAD = JobSpec(name="evaluate:a", runs_on=RunsOn.ANY)
REPORT = JobSpec(name="report", runs_on=RunsOn.SUBMITTER_OR_OTHER)


@pytest.fixture(autouse=True)
def _shared(shared: None) -> None:
    """All of this is about several machines."""


def look_after(home: Home, limit: dt.datetime | None = None) -> None:
    """As the daemon of "here" would."""
    loss.look_after(home, "here", database.now(), lambda _run: limit)


def test_what_a_lost_machine_ran_and_another_may_do_is_put_back(home: Home, submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    submit_specs(SPREAD)
    job = won_by("there")
    fall_silent("there", 9)
    look_after(home)
    assert Job.get().status == Status.RUNNING
    fall_silent("there", 11)
    assert loss.is_pending("here", database.now(), lambda _run: None)
    look_after(home)
    again = won_by("here")
    assert (again.id, again.attempt, again.machine) == (job.id, job.attempt + 1, "here")


def test_a_machine_that_is_heard_of_between_the_look_and_the_update_keeps_its_job(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there")
    submit_specs(SPREAD)
    job, at = won_by("there"), database.now()
    fall_silent("there", 11)
    fall_silent("there", 0)  # its heartbeat comes while another daemon holds a row that it read before
    assert not queue.put_back(job, "lost", at)
    assert Job.get().status == Status.RUNNING


def test_of_two_daemons_that_put_back_a_job_one_does_and_the_new_attempt_stays(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there"), join("third")
    submit_specs(SPREAD)
    won_by("there")
    fall_silent("there", 11)
    stale = Job.get()
    look_after(home)
    won_by("here")
    assert not queue.put_back(stale, "lost", database.now())
    assert (Job.get().status, Job.get().machine) == (Status.RUNNING, "here")


@pytest.mark.parametrize("spec", [JobSpec(name="mine", reads_messages=True), JobSpec(name="command:a", attempts=2)])
def test_a_pinned_job_and_a_command_wait_for_their_machine_with_the_reason(
    home: Home, submit_specs: SubmitSpecs, spec: JobSpec
) -> None:
    join("here"), join("there")
    run = submit_specs(spec, on="there")
    job = won_by("there")
    queue.requeue(job, None)
    fall_silent("there", 11)
    look_after(home)
    assert claimed_by("here") is None
    since = (database.now() - dt.timedelta(minutes=11)).astimezone()
    (place,) = queue_order.now(database.now()).of_run(run.id)
    assert place.waits_for == f"there silent since {since:%H:%M}"


def test_a_running_command_of_a_lost_machine_is_not_started_again(home: Home, submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    submit_specs(JobSpec(name="command:a", attempts=3, runs_on=RunsOn.ANY))
    won_by("there")
    fall_silent("there", 60)
    look_after(home)
    assert claimed_by("here") is None
    assert Job.get().status == Status.RUNNING


def test_what_a_lost_machine_ran_past_the_deadline_is_stopped_and_the_report_follows(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there")
    submit_specs(JobSpec(name="mine", reads_messages=True), REPORT, on="there")
    won_by("there")
    fall_silent("there", 11)
    Run.update(deadline=database.now()).execute()
    look_after(home, limit=database.now() + dt.timedelta(minutes=1))
    assert Job.get(Job.name == "mine").status == Status.RUNNING
    look_after(home, limit=database.now())
    row = Job.get(Job.name == "mine")
    assert (row.status, row.reason.partition(",")[0][:19]) == (Status.STOPPED, "there silent since ")
    assert won_by("here").name == "report"


def test_a_job_that_is_cancelled_while_its_machine_is_lost_ends(home: Home, submit_specs: SubmitSpecs) -> None:
    join("here"), join("there")
    run = submit_specs(JobSpec(name="mine", reads_messages=True), on="there")
    won_by("there")
    fall_silent("there", 11)
    control.cancel(home, run)
    look_after(home)
    assert Job.get().status == Status.CANCELLED


def test_an_outcome_that_was_committed_before_the_machine_was_lost_counts(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    join("here"), join("there")
    submit_specs(SPREAD)
    job = won_by("there")
    outcome = {"attempt": job.attempt, "ok": True, "reason": "", "summary": {}, "peak_memory_mb": 1, "next_round": []}
    transitions.record_outcome(job.id, job.attempt, outcome)
    fall_silent("there", 11)
    look_after(home)
    assert Job.get().status == Status.SUCCEEDED


def taken_over(home: Home, submit_specs: SubmitSpecs) -> Job:
    """The attempt of a machine that sleeps, whose job runs on another one by now."""
    join("here"), join("there")
    submit_specs(SPREAD)
    asleep = won_by("there")
    fall_silent("there", 11)
    look_after(home)
    won_by("here")
    return asleep


def test_the_late_writes_of_a_machine_that_wakes_are_refused(home: Home, submit_specs: SubmitSpecs) -> None:
    asleep = taken_over(home, submit_specs)
    with pytest.raises(StaleAttempt):
        transitions.record_outcome(asleep.id, asleep.attempt, {"attempt": asleep.attempt, "ok": True})
    with pytest.raises(StaleAttempt):
        transitions.record_child(asleep, 4242, 1.0)
    row = Job.get()
    assert (row.outcome, row.pid) == (None, None)


def test_a_machine_that_wakes_ends_its_child_and_leaves_the_row_to_the_other(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    asleep = taken_over(home, submit_specs)
    attempt = Attempt(asleep, home, Settings(), threading.Event(), None)
    assert attempt._reason_to_end() is EndReason.TAKEN_OVER
    attempt.finish(EndReason.TAKEN_OVER, -15)
    row = Job.get()
    assert (row.status, row.machine, row.attempt) == (Status.RUNNING, "here", asleep.attempt + 1)


def test_a_daemon_that_could_not_supervise_a_job_leaves_it_to_the_machine_that_has_it_now(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    asleep = taken_over(home, submit_specs)
    Supervisor(home, "there", Settings(), threading.Event())._rescue(asleep, "a full disk")
    assert (Job.get().status, Job.get().machine) == (Status.RUNNING, "here")


def test_a_daemon_that_starts_recovers_only_what_its_own_machine_ran(home: Home, submit_specs: SubmitSpecs) -> None:
    own = join(this_machine.identity(home))
    join("there")
    submit_specs(JobSpec(name="mine", reads_messages=True), on=own)
    submit_specs(JobSpec(name="evaluate:b", reads_messages=True), on="there")
    won_by(own), won_by("there")
    recovery.recover(home)
    assert [(job.name, job.status) for job in Job.select().order_by(Job.id)] == [
        ("mine", Status.QUEUED),
        ("evaluate:b", Status.RUNNING),
    ]


def test_a_job_that_other_machines_begin_afresh_keeps_nothing_of_the_lost_one(
    home: Home, submit_specs: SubmitSpecs
) -> None:
    """Times that two machines measured are not compared."""
    from jobs.lib.results.tables import ModelLoad

    asleep_at = database.now()
    join("here"), join("there")
    submit_specs(SPREAD)
    job = won_by("there")
    ModelLoad.create(job=job, run=job.run, model="a", info={}, load_time_s=1.0)
    queue.requeue(job, "starts again")
    fall_silent("there", 11)
    assert claimed_by("here") is None
    look_after(home)
    assert not ModelLoad.select().exists()
    again = won_by("here")
    assert (again.id, again.pinned_to, again.started_at > asleep_at) == (job.id, "here", True)


@pytest.mark.sqlite
def test_a_queue_of_one_machine_asks_for_no_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "is_shared", lambda: False)
    statements: list[str] = []
    monkeypatch.setattr(database.db.obj, "execute_sql", lambda statement, *_: statements.append(statement))
    look_after(home)
    assert not loss.is_pending("here", database.now(), lambda _run: None)
    assert queries.open_on([]) == []
    assert statements == []
