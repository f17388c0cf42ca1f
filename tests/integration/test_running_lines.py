"""What a caller without a terminal is told while a job runs."""

from __future__ import annotations

from collections.abc import Callable

from jarvisd.operations.wait import RunningLines
from jarvisd.store.models import Job, Run, Status

MakeRun = Callable[..., Run]


def test_a_running_job_says_how_far_it_is_and_a_queued_one_nothing(make_run: MakeRun) -> None:
    run = make_run("mine", "report")
    Job.update(status=Status.RUNNING, done=4000, total=23661, note="embedding").where(Job.name == "mine").execute()
    assert RunningLines(run.id, interval_s=0).next() == ["mine: 4,000 of 23,661, embedding"]


def test_a_job_without_a_total_is_still_running(make_run: MakeRun) -> None:
    run = make_run("mine")
    Job.update(status=Status.RUNNING).execute()
    assert RunningLines(run.id, interval_s=0).next() == ["mine: still running"]


def test_nothing_is_said_before_the_interval_is_over(make_run: MakeRun) -> None:
    run = make_run("mine")
    Job.update(status=Status.RUNNING).execute()
    assert RunningLines(run.id, interval_s=3600).next() == []
