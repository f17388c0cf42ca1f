"""Cancel, retry, pause and resume: what each does beside the change of status."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from jarvisd.errors import JarvisError, UsageError
from jarvisd.operations import placeholder, this_machine
from jarvisd.paths import Home
from jarvisd.store import database, models, queries, queue
from jarvisd.store.models import Job, Run, Status


def cancel(home: Home, target: Job | Run) -> list[Job]:
    """Cancel a job, or every open job of a run. Returns the jobs that are cancelled or being cancelled.

    A cancelled report leaves a placeholder page, unless the run has a finished report. Raises JarvisError where the
    target has ended.
    """
    at = database.now()
    cancelled = queue.cancel_run(target, at) if isinstance(target, Run) else queue.cancel([target], at)
    if not cancelled:
        name = target.id if isinstance(target, Run) else target.name
        raise JarvisError(f"nothing to cancel: {name} has ended", "`jarvisctl status` shows what is open.")
    _leave_placeholders(home, cancelled)
    return cancelled


def cancel_jobs(home: Home, jobs: list[Job]) -> list[Job]:
    """Cancel the open ones of these jobs, of any run. Returns them."""
    cancelled = queue.cancel(jobs, database.now())
    _leave_placeholders(home, cancelled)
    return cancelled


def _leave_placeholders(home: Home, cancelled: list[Job]) -> None:
    for job in cancelled:
        if job.is_report and home.run_folder(job.run_id).exists():
            placeholder.plain_report(home, job.run, "it was cancelled", keep=True)


@dataclass(frozen=True)
class Retried:
    """The jobs that were queued again."""

    jobs: list[Job]
    start_error: JarvisError | None  #: why the daemon, which runs on demand, did not start


def retry(home: Home, target: Job | Run, *, fresh: bool = False, until: str | None = None) -> Retried:
    """Queue a settled job again, or the jobs of a run that did not succeed; start the daemon if it runs on demand.

    `fresh` deletes their checkpoints and, for a run, includes the jobs that succeeded. `until` is the run's new
    deadline, as `07:00`. Raises UsageError; then nothing is queued.
    """
    deadline = _deadline(until) if until else None
    jobs = _worth_retrying(target, fresh=fresh) if isinstance(target, Run) else [target]
    queued = queue.retry(jobs, fresh=fresh, deadline=deadline, here=this_machine.submitter(home))
    return Retried(queued, _start_daemon(home))


def _start_daemon(home: Home) -> JarvisError | None:
    """Jobs were queued: start the daemon if it runs on demand. Returns the error that prevents it."""
    from jarvisd.operations import service  # late: with launchd's part of it, it takes long to import

    return service.start_for_job(home)


def retry_jobs(home: Home, jobs: list[Job]) -> Retried:
    """Queue the settled ones of these jobs again, of any run; their runs have no deadline after that."""
    return Retried(queue.retry(jobs, here=this_machine.submitter(home)), _start_daemon(home))


def _deadline(until: str) -> dt.datetime:
    from jarvisd.plan import times  # late: it imports pydantic, which takes longer than a retry

    return times.requested_deadline(until, database.now())


def retried_statuses(*, fresh: bool = False) -> list[Status]:
    """Of which jobs `retry` starts those of a run again: that did not succeed, with `fresh` all that are settled."""
    return [status for status in models.SETTLED if fresh or status != Status.SUCCEEDED]


def _worth_retrying(run: Run, *, fresh: bool) -> list[Job]:
    """Settled jobs that did not succeed, with `fresh` all settled jobs. Only ids are read: a run may have thousands."""
    jobs = list(Job.select(Job.id).where(Job.run == run.id, Job.status.in_(retried_statuses(fresh=fresh))))
    if not jobs:
        raise UsageError("nothing to retry: every job succeeded or is open", "`--fresh` runs them all again.")
    return jobs


@dataclass(frozen=True)
class Paused:
    """A pause that has begun."""

    until: dt.datetime | None  #: None: it ends with `resume` or the next nightly run
    running: Job | None  #: the job that will finish during the pause


def pause(home: Home, length: dt.timedelta | None) -> Paused:
    """Have this machine start no new job, for `length` or without an end."""
    at = database.now()
    until = at + length if length is not None else None
    machine_id = this_machine.identity(home)
    queue.pause(machine_id, at, until)
    here = (job for job in queries.running() if not database.is_shared() or job.machine == machine_id)
    return Paused(until, next(here, None))


@dataclass(frozen=True)
class Resumed:
    """What `resume` did."""

    was_paused: bool
    start_error: JarvisError | None  #: why the daemon, which runs on demand and has jobs to do, did not start


def resume(home: Home) -> Resumed:
    """End a pause, and start the daemon where it runs on demand and jobs wait."""
    was_paused = queue.resume(this_machine.identity(home))
    return Resumed(was_paused, _start_daemon(home) if queries.is_anything_open() else None)
