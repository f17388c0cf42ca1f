"""The end of a job: its row, its line in the run log, and what follows when its run is settled."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from jarvisd import failpoints, logs
from jarvisd.daemon import hooks
from jarvisd.operations import placeholder
from jarvisd.operations import status as run_status
from jarvisd.paths import Home
from jarvisd.store import database, queries, queue
from jarvisd.store.models import Job, Run, Status
from jarvisd.store.transitions import MAX_STARTS_GIVEN_BACK, MAX_STARTS_WITHOUT_PROGRESS

_log = logging.getLogger("jarvisd.daemon.outcome")


def end_job(
    home: Home, job: Job, status: Status, reason: str | None, *, took: str = "", **fields: float | None
) -> None:
    """Settle a job, append it to the run log, and write a plain page where the run has no report."""
    if job.is_report and status != Status.SUCCEEDED and not _wrote_report(home, job):
        placeholder.plain_report(home, job.run, reason or str(status), keep=status == Status.CANCELLED)
    queue.settle(job, status, reason, database.now(), **fields)
    tell_end(home, job, took)


def tell_end(home: Home, job: Job, took: str = "") -> None:
    """Append the end of a settled job to the run log, and do what follows where its run is settled."""
    logs.append(home, job.run_id, f"{job.name} {job.status}{took}{f': {job.reason}' if job.reason else ''}")
    _log.info("job %d %s %s%s", job.id, job.name, job.status, took)
    failpoints.failpoint("settle.logged")
    if_settled(home, job.run)


def _wrote_report(home: Home, job: Job) -> bool:
    """Whether the report job failed after it had written its report in this attempt."""
    return job.started_at is not None and placeholder.has_report_since(home, job.run, job.started_at)


def if_settled(home: Home, run: Run) -> None:
    if queries.is_settled(run.id):
        logs.append(home, run.id, run_status.last_line(run))
        hooks.run_settled(home, run)


def is_current(row: Job, attempt: int) -> bool:
    """Whether the row says that this attempt runs."""
    return bool(row.status == Status.RUNNING and row.attempt == attempt)


def committed(job: Job) -> dict[str, Any] | None:
    """The outcome that the job's current attempt has committed, or None."""
    outcome: dict[str, Any] | None = job.outcome
    return outcome if outcome and outcome["attempt"] == job.attempt else None


def settle_as_committed(home: Home, job: Job) -> bool:
    """Settle as succeeded a job whose child has committed that outcome. False when it has not."""
    outcome = committed(job)
    if outcome is None or not outcome["ok"]:
        return False
    end_job(home, job, Status.SUCCEEDED, outcome["reason"] or None, peak_memory_mb=int(outcome["peak_memory_mb"]))
    return True


def put_back_unreached(home: Home, job: Job) -> None:
    """Put back a running job whose attempt could not store its end, because the database was out of reach.

    The start is not counted, unless the job has a limit of attempts and its own code was begun: it may have done all.
    """
    counts = job.max_attempts is not None and job.work_began
    if settle_as_committed(home, job):
        return
    if counts and not may_start_again(job):
        reason = "the database was out of reach when it ended, so how is unknown; it has no attempt left"
        end_job(home, job, Status.FAILED, reason)
        return
    queue.requeue(job, "starts again: the database was out of reach", never_ran=not counts)
    logs.append(home, job.run_id, f"{job.name} will start again: the database was out of reach")


def may_start_again(job: Job) -> bool:
    """Whether the job may be started again after an attempt that ended without an outcome."""
    if job.max_attempts is not None:
        return bool(job.attempt - job.attempt_base < job.max_attempts)
    return bool(job.starts_without_progress < MAX_STARTS_WITHOUT_PROGRESS)


def is_given_back(job: Job) -> bool:
    """Whether the start that just ended does not count against the job's limit: its own code was not begun.

    At most MAX_STARTS_GIVEN_BACK in a row, so that a job whose process dies each time is not started for ever.
    """
    limited = job.max_attempts is not None and not job.work_began
    return bool(limited and job.starts_without_progress <= MAX_STARTS_GIVEN_BACK)


def clock(moment: dt.datetime) -> str:
    return moment.astimezone().strftime("%H:%M")
