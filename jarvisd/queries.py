"""Questions to the ledger that change nothing."""

from __future__ import annotations

import datetime as dt

from jarvisd.ledger import LONGEST_WAIT, OPEN, Job, Run, Status


def with_deadline() -> list[Run]:
    """Runs with a deadline and queued jobs, reports aside."""
    waiting = Job.select(Job.run).where(Job.status == Status.QUEUED, Job.kind != "report")
    return list(Run.select().where(Run.deadline.is_null(False), Run.id.in_(waiting)))


def waiting_jobs(run: Run) -> list[Job]:
    """The queued jobs of a run, its reports aside."""
    return list(Job.select().where(Job.run == run, Job.status == Status.QUEUED, Job.kind != "report"))


def waiting_like(job: Job) -> list[Job]:
    """The queued jobs of its run, its reports aside, that have waited for as long as this one."""
    alike = [
        field.is_null() if value is None else field == value
        for field, value in ((Job.not_before, job.not_before), (Job.waiting_since, job.waiting_since))
    ]
    return list(Job.select().where(Job.run == job.run_id, Job.status == Status.QUEUED, Job.kind != "report", *alike))


def newest_started() -> Run | None:
    """The newest started run whose plan has a report."""
    reported = Job.select(Job.run).where(Job.kind == "report")
    query = Run.select().where(Run.started_at.is_null(False), Run.id.in_(reported))
    return query.order_by(Run.started_at.desc()).first()


def last_report_took(plan: str) -> dt.timedelta | None:
    """How long the newest finished report of that plan took."""
    query = Job.select(Job.took_s).join(Run).where(Run.plan == plan, Job.kind == "report")
    job = query.where(Job.status == Status.SUCCEEDED).order_by(Job.ended_at.desc()).first()
    return None if job is None or job.took_s is None else dt.timedelta(seconds=job.took_s)


#: A report that once took long, on a busy computer, must not cost the next night its time.
LONGEST_RESERVE = dt.timedelta(minutes=30)


def ends_by(run: Run, reserve_minutes: float) -> dt.datetime | None:
    """When the run's jobs must end so that its report is ready by the deadline.

    The report is given `reserve_minutes`, or twice what the last report of that plan took.
    """
    if run.deadline is None:
        return None
    reserve = dt.timedelta(minutes=reserve_minutes)
    last = last_report_took(run.plan)
    if last is not None:
        reserve = max(reserve, min(2 * last, LONGEST_RESERVE))
    ready: dt.datetime = run.deadline
    return ready - reserve


def newest_reported(before: int | None = None) -> Run | None:
    """The newest run whose report was written, or the newest before the run with that number."""
    query = Run.select().join(Job).where(Job.kind == "report", Job.status == Status.SUCCEEDED)
    if before is not None:
        query = query.where(Run.number < before)
    return query.order_by(Run.number.desc()).first()


def is_anything_open() -> bool:
    """Whether any job is queued or running."""
    return bool(Job.select().where(Job.status.in_(OPEN)).exists())


def wait_is_over(at: dt.datetime) -> bool:
    """Whether a job's wait or pause has ended, and nothing may have said so."""
    over = (Job.not_before <= at) | (Job.not_before > at + LONGEST_WAIT)
    return bool(Job.select().where(Job.status == Status.QUEUED, over).exists())
