"""A running job without a process: what a kind's `run` is given, in a test that calls it."""

from __future__ import annotations

import logging

from jarvisd import ledger
from jarvisd.context import JobContext
from jarvisd.home import Home
from jarvisd.ledger import Job


def claim(home: Home) -> JobContext:
    """The next attempt, as the daemon and the child would begin it."""
    job = ledger.claim("here", "boot", ledger.now())
    assert job is not None
    job = Job.get_by_id(job.id)
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
        log=logging.getLogger("test"),
    )
