"""How a job ended: its row, its line in the run log, and what follows when the run is settled."""

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
from jarvisd.store.transitions import MAX_STARTS_WITHOUT_PROGRESS

_log = logging.getLogger("jarvisd.daemon.outcome")


def end_job(
    home: Home, job: Job, status: Status, reason: str | None, *, took: str = "", **fields: float | None
) -> None:
    """Settle a job, tell the run's story, and leave a plain report where the report itself could not be had."""
    if job.is_report and status != Status.SUCCEEDED:
        placeholder.plain_report(home, job.run, reason or str(status), keep=status == Status.CANCELLED)
    queue.settle(job, status, reason, database.now(), **fields)
    logs.append(home, job.run_id, f"{job.name} {status}{took}{f': {reason}' if reason else ''}")
    _log.info("job %d %s %s%s", job.id, job.name, status, took)
    failpoints.failpoint("settle.told")
    if_settled(home, job.run)


def if_settled(home: Home, run: Run) -> None:
    if queries.is_settled(run.id):
        logs.append(home, run.id, run_status.last_line(run))
        hooks.run_settled(home, run)


def committed(job: Job) -> dict[str, Any] | None:
    """The outcome that the job's current attempt has committed, if it came that far."""
    outcome: dict[str, Any] | None = job.outcome
    return outcome if outcome and outcome["attempt"] == job.attempt else None


def settle_as_committed(home: Home, job: Job) -> bool:
    """Settle a job whose child had committed its outcome before we could. False when it had not."""
    outcome = committed(job)
    if outcome is None or not outcome["ok"]:
        return False
    end_job(home, job, Status.SUCCEEDED, outcome["reason"] or None, peak_memory_mb=int(outcome["peak_memory_mb"]))
    return True


def may_start_again(job: Job) -> bool:
    """Whether an attempt that ended without an end of the job is followed by another one."""
    if job.attempts is not None:
        return bool(job.attempt - job.attempts_from < job.attempts)
    return bool(job.fruitless < MAX_STARTS_WITHOUT_PROGRESS)


def clock(moment: dt.datetime) -> str:
    return moment.astimezone().strftime("%H:%M")
