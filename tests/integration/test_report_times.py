"""About when a report is ready where several machines work on its run at once."""

from __future__ import annotations

import datetime as dt

import pytest

from jarvisd.operations import queue_order
from jarvisd.registry import JobSpec, RunsOn
from jarvisd.store import database, queries
from jarvisd.store.models import Dependency, Job, Run, Status
from tests.claiming import finish
from tests.fleets import SubmitSpecs, join, won_by

SPREAD = tuple(JobSpec(name=f"evaluate:{name}", runs_on=RunsOn.ANY) for name in "abcd")
REPORT = JobSpec(name="report", runs_on=RunsOn.SUBMITTER_OR_OTHER)
#: How long each took in an earlier run.
USUAL_S = {"evaluate:a": 600, "evaluate:b": 500, "evaluate:c": 300, "evaluate:d": 100, "report": 30}


@pytest.fixture
def run(shared: None, submit_specs: SubmitSpecs) -> Run:
    """A queued run of four models, all of which took their time before."""
    join("here")
    submit_specs(*SPREAD, REPORT)
    for _ in USUAL_S:
        job = won_by("here")
        finish(job)
        Job.update(took_s=USUAL_S[job.name]).where(Job.id == job.id).execute()
    return submit_specs(*SPREAD, REPORT)


def minutes_until_report(run: Run) -> float | None:
    at = database.now()
    ready = queue_order.now(at).reports.get(run.id)
    return None if ready is None else round((ready - at).total_seconds() / 60, 1)


def test_one_machine_does_one_job_after_the_other(run: Run) -> None:
    assert minutes_until_report(run) == 25.5


def test_two_machines_share_the_work_and_the_report_waits_for_the_last(run: Run) -> None:
    join("there")
    assert minutes_until_report(run) == 13.8, "500 + 300 s on one, 600 + 100 on the other, then the report"


@pytest.mark.parametrize("silent_min", [2, 20])
def test_a_machine_that_is_not_heard_of_does_none_of_it(run: Run, silent_min: float) -> None:
    join("there", silent=silent_min)
    assert minutes_until_report(run) == 25.5


def test_a_running_job_takes_its_own_machine_alone(run: Run) -> None:
    join("there")
    job = won_by("there")
    Job.update(done=1, total=2, started_at=database.now() - dt.timedelta(minutes=20)).where(Job.id == job.id).execute()
    assert minutes_until_report(run) == 20.5, "20 minutes there, meanwhile the other 15 here, then the report"


def test_a_run_that_waits_for_another_begins_after_it_on_any_machine(run: Run, submit_specs: SubmitSpecs) -> None:
    join("there")
    second = submit_specs(SPREAD[3], REPORT)
    assert minutes_until_report(second) == 15.5, "800 + 100 + 30 s"
    Dependency.create(run=second, of_run=run.id, of_job=None, any_end=True)
    assert minutes_until_report(second) == 16.0, "830 + 100 + 30 s"


def test_nothing_is_told_while_no_machine_that_is_there_may_run_a_job(run: Run) -> None:
    join("there", silent=2)
    first = queries.jobs_of(run)[0]
    Job.update(pinned_to="there").where(Job.id == first.id).execute()
    assert first.status == Status.QUEUED
    assert minutes_until_report(run) is None
