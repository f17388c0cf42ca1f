"""Every change of a job's status. No other file changes one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import peewee
from peewee import chunked

from jarvisd import failpoints
from jarvisd.errors import IllegalTransition, StaleAttempt
from jarvisd.store import database as store_database
from jarvisd.store import queries
from jarvisd.store.models import SETTLED, Job, Run, Status

#: Starts in a row that committed nothing before a job is given up.
MAX_STARTS_WITHOUT_PROGRESS = 3


#: Every change of status there is. `retry` is the only way out of a settled one.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED, Status.SKIPPED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.STOPPED}),
    **{status: frozenset({Status.QUEUED}) for status in SETTLED},
}


def _change(job: Job, to: Status, **fields: Any) -> None:
    """Change a status by one conditional UPDATE; `job` then holds the new row. Refuses what TRANSITIONS lacks."""
    origin = Status(job.status)
    if to not in TRANSITIONS[origin]:
        raise IllegalTransition(f"job {job.id} ({job.name}) cannot go from {origin} to {to}")
    values = {"status": to, **fields}
    changed = Job.update(values).where(Job.id == job.id, Job.status == origin, Job.attempt == job.attempt).execute()
    if changed != 1:
        raise IllegalTransition(f"job {job.id} ({job.name}) is no longer {origin}, so it cannot become {to}")
    for name, value in values.items():
        setattr(job, name, value)


def claim(machine: str, boot_id: str, at: dt.datetime, *, admitted: Job | None = None) -> Job | None:
    """Take the next due row for this machine, or None. Counts the start before the child does anything.

    Where another row than the `admitted` one is next by now, nothing is taken: nobody has looked what that one lacks.
    """
    with store_database.write():
        busy = Job.select().where(Job.status == Status.RUNNING, Job.machine == machine).exists()
        job = None if busy else queries.next_due(machine, at)
        if job is None or (admitted is not None and job.id != admitted.id):
            return None
        _change(
            job,
            Status.RUNNING,
            machine=machine,
            boot_id=boot_id,
            token=uuid.uuid4().hex,
            attempt=job.attempt + 1,
            fruitless=job.fruitless + 1,
            not_before=None,
            waiting_since=None,
            reason=None,
            cancel_requested=False,
            pid=None,
            pid_started=None,
            outcome=None,
            exit_code=None,
            peak_memory_mb=None,
            done=None,
            total=None,
            note=None,
            started_at=at,
            ended_at=None,
            took_s=None,
        )
        Run.update(started_at=at).where(Run.id == job.run_id, Run.started_at.is_null()).execute()
        failpoints.failpoint("claim.before-commit")
    failpoints.failpoint("claim.committed")
    return job


def settle(job: Job, status: Status, reason: str | None, at: dt.datetime, **fields: Any) -> None:
    """End a job."""
    with store_database.write():
        _change(job, status, reason=reason, ended_at=at, pid=None, **fields)


def requeue(job: Job, reason: str | None, *, never_ran: bool = False, **fields: Any) -> None:
    """Put a running job back: its attempt ended without an end of the job. A start that never ran is given back."""
    if never_ran:
        fields |= {"fruitless": max(0, job.fruitless - 1), "attempts_from": job.attempts_from + 1}
    with store_database.write():
        _change(
            job,
            Status.QUEUED,
            reason=reason,
            machine=None,
            pid=None,
            **fields,
        )


def record_child(job: Job, pid: int, pid_started: float) -> None:
    with store_database.write():
        Job.update(pid=pid, pid_started=pid_started).where(Job.id == job.id).execute()
    job.pid, job.pid_started = pid, pid_started


@contextmanager
def fenced(job_id: int, attempt: int) -> Iterator[None]:
    """A write transaction of attempt `attempt`. Raises StaleAttempt when that is no longer the current one."""
    with store_database.write():
        current = (Job.id == job_id) & (Job.attempt == attempt) & (Job.status == Status.RUNNING)
        if not Job.select().where(current).exists():
            raise StaleAttempt(f"attempt {attempt} of job {job_id} is over; what it wrote is refused")
        yield


#: Rows a statement, so that its text stays short.
_ROWS = 1000


def store(jobs: list[Job]) -> None:
    """Store new rows in their order, and give each its id."""
    with store_database.write():
        _insert([field for field in Job._meta.sorted_fields if field.name != "id"], jobs)
        for run_id in {job.run_id for job in jobs}:
            stored = Job.select(Job.id, Job.name, Job.round).where(Job.run == run_id).tuples()
            ids = {(name, round_): id_ for id_, name, round_ in stored}
            for job in (job for job in jobs if job.run_id == run_id):
                job.id = ids[job.name, job.round]


def reload(jobs: Iterable[Job], *, whole: bool = True) -> list[Job]:
    """What the ledger holds of these jobs now, in the order of their runs; not `whole`: names, places and statuses."""
    fields = () if whole else (Job.id, Job.run, Job.name, Job.kind, Job.round, Job.place, Job.status, Job.attempt)
    rows = [row for part in chunked(jobs, _ROWS) for row in Job.select(*fields).where(_among(part))]
    return sorted(rows, key=lambda row: (row.round, row.place, row.id))


def end_queued(jobs: list[Job], status: Status, reason: str, at: dt.datetime) -> None:
    """Settle jobs that are queued."""
    _change_many(jobs, (Status.QUEUED,), status, reason=reason, ended_at=at, pid=None)


def defer(jobs: list[Job], reason: str, *, until: dt.datetime, since: dt.datetime) -> None:
    """Queued jobs cannot start yet: say why, and when they are looked at again."""
    with store_database.write():
        for part in chunked(jobs, _ROWS):
            values = {"reason": reason, "not_before": until, "waiting_since": since}
            Job.update(values).where(_among(part), Job.status == Status.QUEUED).execute()


def requeue_settled(jobs: list[Job]) -> None:
    """`retry`: settled jobs are owed again."""
    _change_many(
        jobs,
        SETTLED,
        Status.QUEUED,
        reason=None,
        fruitless=0,
        not_before=None,
        waiting_since=None,
        machine=None,
        cancel_requested=False,
        attempts_from=Job.attempt,
        ended_at=None,
        took_s=None,
    )


def delete_results(jobs: list[Job]) -> None:
    """Remove everything these jobs have found so far: their rows go, what refers to them along, the rows come back."""
    with store_database.write():
        for part in chunked(jobs, _ROWS):
            Job.delete().where(_among(part)).execute()
        _insert(Job._meta.sorted_fields, jobs)


def _change_many(jobs: list[Job], origins: tuple[Status, ...], to: Status, **fields: Any) -> None:
    if not all(to in TRANSITIONS[origin] for origin in origins):
        raise IllegalTransition(f"jobs cannot go from {', '.join(origins)} to {to}")
    with store_database.write():
        for part in chunked(jobs, _ROWS):
            known = _among(part) & Job.status.in_(origins)
            if Job.update({"status": to, **fields}).where(known).execute() != len(part):
                raise IllegalTransition(f"some of {len(part)} jobs are no longer {' or '.join(origins)}")
            for job in part:
                for name, value in {"status": to, **fields}.items():
                    setattr(job, name, getattr(job, value.name) if isinstance(value, peewee.Field) else value)


def _among(jobs: Iterable[Job]) -> peewee.Expression:
    """Rows with these ids: numbers of our own, written out, because a statement takes only so many values."""
    return Job.id.in_(peewee.SQL(f"({', '.join(str(int(job.id)) for job in jobs)})"))


def _insert(fields: list[Any], jobs: list[Job]) -> None:
    """Insert row by row with one text: to build a statement takes ten times as long as to execute it."""
    statement, _ = Job.insert(dict.fromkeys(fields)).sql()
    for job in jobs:
        store_database.db.execute_sql(statement, [field.db_value(job.__data__.get(field.name)) for field in fields])
