"""Jobs that run without a daemon: their rows, and what a kind's `run` is given, in a test that calls it."""

from __future__ import annotations

import datetime as dt
import logging

from jarvisd import ledger, queue
from jarvisd.context import JobContext
from jarvisd.home import Home
from jarvisd.ledger import Job, Status


def due(at: dt.datetime | None = None) -> Job | None:
    """The next due row, claimed as the daemon would; None where there is none."""
    return ledger.claim("here", "boot", at or ledger.now())


def claimed(at: dt.datetime | None = None) -> Job:
    """The next due row, of which there is one."""
    job = due(at)
    assert job is not None
    return job


def finish(job: Job, status: Status = Status.SUCCEEDED) -> None:
    queue.settle(job, status, None, ledger.now())


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
