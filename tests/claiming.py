"""Jobs that run without a daemon: their rows, and what a kind's `run` is given, in a test that calls it."""

from __future__ import annotations

import datetime as dt
import logging

from jarvisd.paths import Home
from jarvisd.store import database, queue, transitions
from jarvisd.store.models import Job, Status
from jarvisd.worker.context import JobContext

#: The name of the computer that claims.
HERE = "here"


def due(at: dt.datetime | None = None) -> Job | None:
    """The next due row, claimed as the daemon would; None where there is none."""
    return transitions.claim(HERE, "boot", at or database.now())


def claimed(at: dt.datetime | None = None) -> Job:
    """The next due row, of which there is one."""
    job = due(at)
    assert job is not None
    return job


def finish(job: Job, status: Status = Status.SUCCEEDED) -> None:
    queue.settle(job, status, None, database.now())


def claim(home: Home) -> JobContext:
    """The next attempt, as the daemon and the child would begin it."""
    return context_of(home, Job.get_by_id(claimed().id))


def context_of(home: Home, job: Job, log: logging.Logger | None = None) -> JobContext:
    return JobContext(
        home=home,
        run_id=job.run_id,
        job_id=job.id,
        job_name=job.name,
        attempt=job.attempt,
        round=job.round,
        params=job.params,
        plan=job.run.snapshot["plan"],
        folder=home.run_folder(job.run_id),
        ends_by=None,
        log=log or logging.getLogger("test"),
    )
