"""What other machines do for the jobs of a lost one.

Any daemon does it, and all may at once: each change is one conditional UPDATE. A lost machine may only sleep. Its
writes are then refused, because its attempt is no longer the current one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from jarvisd import logs
from jarvisd.daemon import outcome as outcomes
from jarvisd.errors import IllegalTransition
from jarvisd.operations import machines as members
from jarvisd.paths import Home
from jarvisd.store import machines, queries, queue, transitions
from jarvisd.store.models import Job, Run, Status

_log = logging.getLogger("jarvisd.daemon.loss")

Limit = Callable[[Run], dt.datetime | None]


def is_pending(machine_id: str, at: dt.datetime, limit: Limit) -> bool:
    """Whether there is something to do for a lost machine."""
    return any(_is_to_move(job, at, limit) for job in queries.open_on(_gone(machine_id, at)))


def look_after(home: Home, machine_id: str, at: dt.datetime, limit: Limit) -> None:
    """Put back what may run elsewhere, and end what the user or the deadline ends. What is pinned waits."""
    gone = _gone(machine_id, at)
    reasons = members.unheard(at) if gone else {}
    for job in queries.open_on(gone):
        try:
            _look_after(home, job, reasons.get(job.machine or job.pinned_to, "its machine is silent"), at, limit)
        except IllegalTransition:  # another daemon was quicker, or the machine is back
            _log.info("job %d has changed meanwhile", job.id)


def _gone(machine_id: str, at: dt.datetime) -> list[str]:
    return [machine for machine in machines.lost(at) if machine != machine_id]


def _is_to_move(job: Job, at: dt.datetime, limit: Limit) -> bool:
    """Whether `look_after` would change the row of a job of a lost machine."""
    if job.status == Status.QUEUED:
        return transitions.is_begun_afresh(job)
    return job.may_move or job.cancel_requested or outcomes.committed(job) is not None or _is_over(job, at, limit)


def _is_over(job: Job, at: dt.datetime, limit: Limit) -> bool:
    """Whether the job's run had to end by now."""
    ends = None if job.is_report else limit(job.run)
    return ends is not None and at >= ends


def _look_after(home: Home, job: Job, silent: str, at: dt.datetime, limit: Limit) -> None:
    if job.status == Status.QUEUED:
        if transitions.is_begun_afresh(job) and queue.release(job, at):
            logs.append(home, job.run_id, f"{job.name} will begin afresh elsewhere: {silent}")
    elif outcomes.settle_as_committed(home, job):
        return
    elif job.cancel_requested:
        outcomes.end_job(home, job, Status.CANCELLED, "cancelled by you")
    elif _is_over(job, at, limit):
        reason = f"{silent}, and the run had to end by {outcomes.clock(job.run.deadline)}; what was finished is kept"
        outcomes.end_job(home, job, Status.STOPPED, reason)
    elif job.may_move and not outcomes.may_start_again(job):
        outcomes.end_job(home, job, Status.FAILED, f"given up after {job.starts_without_progress} starts: {silent}")
    elif job.may_move and queue.put_back(job, f"starts again: {silent}", at):
        logs.append(home, job.run_id, f"{job.name} will start again elsewhere: {silent}")
        _log.warning("job %d is put back: %s", job.id, silent)
