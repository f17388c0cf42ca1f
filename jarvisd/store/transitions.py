"""Every change of a job's status. No other file changes one.

What may follow a change, such as a wake-up message, is written in the caller's transaction; see `queue.py`.
"""

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
from jarvisd.store import database, fence, queries
from jarvisd.store.models import OPEN, SETTLED, Job, LastNumber, Run, Status

#: Starts in a row that committed nothing before a job is given up.
MAX_STARTS_WITHOUT_PROGRESS = 3
#: Starts in a row that ended before the job's own code, and are given back to a job with a limit of attempts.
MAX_STARTS_GIVEN_BACK = 5
#: Rows per statement, so that its text stays short.
_ROWS = 1000

#: Every legal change of status. `retry` is the only way out of a settled one.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED, Status.SKIPPED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.STOPPED}),
    **{status: frozenset({Status.QUEUED}) for status in SETTLED},
}
#: What a new attempt must not inherit from the one before it.
_NEW_ATTEMPT: dict[str, Any] = {
    **dict.fromkeys(("not_before", "waiting_since", "reason", "pid", "pid_started", "outcome", "exit_code")),
    **dict.fromkeys(("peak_memory_mb", "done", "total", "note", "ended_at", "took_s")),
    "cancel_requested": False,
    "work_began": False,
}


# ------------------------------------------------------------------------------------------------------- one job


def claim(machine: str, boot_id: str, at: dt.datetime, *, admitted: Job | None = None) -> Job | None:
    """Start the next due job on this machine: queued -> running, before the child does anything.

    None when no job is due, when this machine has a running one, when another claimer was quicker, or when a job
    is next by now to which what was checked for `admitted` does not apply.
    """
    with database.write():
        job = None if queries.is_occupied(machine) else queries.next_due(machine, at)
        if job is None or not _applies(admitted, job) or not _start(job, machine, boot_id, at):
            return None
        Run.update(started_at=at).where(Run.id == job.run_id, Run.started_at.is_null()).execute()
        failpoints.failpoint("claim.before-commit")
    failpoints.failpoint("claim.committed")
    return job


def _applies(admitted: Job | None, job: Job) -> bool:
    """Whether this job may start because the admitted one might: another machine took that one meanwhile.

    Many machines that want the same job would else hold the write lock in vain, all but one of them.
    """
    if admitted is None or job.id == admitted.id:
        return True
    waits = Job.select().where(Job.id == admitted.id, Job.status == Status.QUEUED).exists()
    return not waits and not admitted.is_report and job.memory_mb <= admitted.memory_mb


def _start(job: Job, machine: str, boot_id: str, at: dt.datetime) -> bool:
    started: dict[str, Any] = {"machine": machine, "boot_id": boot_id, "token": uuid.uuid4().hex, "started_at": at}
    if database.is_shared() and job.pinned_to is None:
        started["pinned_to"] = machine  # where it began it stays
    counted = {
        "attempt": job.attempt + 1,
        "starts_without_progress": job.starts_without_progress + 1,
        "start_number": queries.next_start_number(),
    }
    return _try_change(job, Status.RUNNING, **_NEW_ATTEMPT, **started, **counted)


def settle(job: Job, status: Status, reason: str | None, at: dt.datetime, **fields: Any) -> None:
    """End a job."""
    with database.write():
        _change(job, status, reason=reason, ended_at=at, pid=None, **fields)


def fail_unread(job_id: int, reason: str, at: dt.datetime) -> None:
    """End an open job as failed without reading the rest of its row, which may hold a value that cannot be read."""
    with database.write():
        fields = {"status": Status.FAILED, "reason": reason, "ended_at": at, "pid": None, "outcome": None}
        Job.update(fields).where(Job.id == job_id, Job.status.in_(OPEN)).execute()


def requeue(job: Job, reason: str | None, *, never_ran: bool = False, **fields: Any) -> None:
    """Put a running job back into the queue. `never_ran`: its child did nothing, so the start is not counted."""
    if never_ran:
        fields |= uncounted(job)
    with database.write():
        _change(job, Status.QUEUED, reason=reason, machine=None, pid=None, **fields)


def put_back(job: Job, reason: str, is_lost: peewee.Expression) -> bool:
    """Queue again a job of a lost machine, by one statement. False, with nothing changed, where that is no longer so.

    `is_lost`: that the job's machine has not been heard of, as the database knows it when the statement is executed.
    """
    pinned_to = None if is_begun_afresh(job) else job.pinned_to
    with database.write():
        return _try_change(job, Status.QUEUED, is_lost, reason=reason, machine=None, pid=None, pinned_to=pinned_to)


def release(job: Job, is_lost: peewee.Expression) -> bool:
    """Let another machine begin a queued job afresh that is pinned to a lost one."""
    with database.write():
        unchanged = (Job.id == job.id) & (Job.status == Status.QUEUED) & (Job.attempt == job.attempt)
        return bool(Job.update(pinned_to=None).where(unchanged, is_lost).execute() == 1)


def is_begun_afresh(job: Job) -> bool:
    """Whether another machine that takes the job over begins it afresh: times of two machines are not compared."""
    needs: dict[str, Any] = job.needs or {}
    return bool(job.may_move and needs.get("afresh"))


def uncounted(job: Job) -> dict[str, int]:
    """The columns of a job whose last start is not counted against it."""
    return {"starts_without_progress": max(0, job.starts_without_progress - 1), **given_back(job)}


def given_back(job: Job) -> dict[str, int]:
    """The columns of a job whose last start is not counted as an attempt."""
    return {"attempt_base": job.attempt_base + 1}


def _change(job: Job, to: Status, **fields: Any) -> None:
    """Change a status; `job` then holds the new row. Raises IllegalTransition where the row is not as `job` says."""
    if not _try_change(job, to, **fields):
        raise IllegalTransition(f"job {job.id} ({job.name}) is no longer {job.status}, so it cannot become {to}")


def _try_change(job: Job, to: Status, also: peewee.Expression | None = None, **fields: Any) -> bool:
    """Change a status by one conditional UPDATE. False, with nothing changed, where the row is not as `job` says.

    `also`: a further condition.
    """
    origin = Status(job.status)
    if to not in TRANSITIONS[origin]:
        raise IllegalTransition(f"job {job.id} ({job.name}) cannot go from {origin} to {to}")
    values = {"status": to, **fields}
    unchanged = (Job.id == job.id) & (Job.status == origin) & (Job.attempt == job.attempt)
    if Job.update(values).where(unchanged if also is None else unchanged & also).execute() != 1:
        return False
    for name, value in values.items():
        setattr(job, name, value)
    return True


# ------------------------------------------------------------------------------------------ writes of an attempt


def record_child(job: Job, pid: int, pid_started: float) -> None:
    """Store the identity of the job's child. The child does nothing before this is committed. Raises StaleAttempt."""
    with fenced(job.id, job.attempt):
        Job.update(pid=pid, pid_started=pid_started).where(Job.id == job.id).execute()
    job.pid, job.pid_started = pid, pid_started


def record_work_began(job_id: int, attempt: int) -> None:
    """Store that this attempt is about to begin the job's own code, so that the start counts. Raises StaleAttempt."""
    with fenced(job_id, attempt):
        _execute(fence.WORK_BEGAN, job_id)


def record_outcome(job_id: int, attempt: int, document: dict[str, Any]) -> None:
    """Store what the job's own code returned in this attempt. Raises StaleAttempt."""
    with fenced(job_id, attempt):
        _execute(fence.OUTCOME, Job.outcome.db_value(document), job_id)
        failpoints.failpoint("outcome.before-commit")
    failpoints.failpoint("outcome.committed")


def _execute(statement: str, *values: object) -> Any:
    """Execute a statement of `fence`, whose parameters are written as question marks, and return its cursor."""
    return database.db.execute_sql(statement.replace("?", database.db.param), values)


@contextmanager
def fenced(job_id: int, attempt: int, *, patience_s: float | None = None) -> Iterator[None]:
    """A write transaction of attempt `attempt`. Raises StaleAttempt when that is no longer the current one."""
    with database.write(patience_s=patience_s):
        if _execute(fence.CURRENT, job_id, attempt).fetchone() is None:
            raise StaleAttempt(fence.refusal(job_id, attempt))
        yield


# ------------------------------------------------------------------------------------- many jobs in few statements


def store(jobs: list[Job]) -> None:
    """Insert new rows in their order, and set each job's id."""
    with database.write():
        first = queries.next_job_id()
        for id_, job in enumerate(jobs, first):
            job.id = id_
        _insert(Job._meta.sorted_fields, jobs)
        raise_last_number("job", first + len(jobs) - 1)


def raise_last_number(name: str, number: int) -> None:
    """Remember that this number was given, and all below it. A lower one than before changes nothing."""
    with database.write():
        if number > queries.last_number(name):
            LastNumber.insert(name=name, number=number).on_conflict(
                conflict_target=[LastNumber.name], update={LastNumber.number: number}
            ).execute()


def reload(jobs: Iterable[Job], *, whole: bool = True) -> list[Job]:
    """These jobs as the database holds them now, in plan order; not `whole`: without their parameters and results."""
    fields = () if whole else (Job.id, Job.run, Job.name, Job.kind, Job.round, Job.place, Job.status, Job.attempt)
    rows = [row for part in chunked(jobs, _ROWS) for row in Job.select(*fields).where(_among(part))]
    return sorted(rows, key=lambda row: (row.round, row.place, row.id))


def end_queued(jobs: list[Job], status: Status, reason: str, at: dt.datetime) -> None:
    """Settle jobs that are queued."""
    _change_many(jobs, (Status.QUEUED,), status, reason=reason, ended_at=at, pid=None)


def request_cancel(jobs: list[Job]) -> None:
    """Ask running jobs to stop. The daemon settles each when its child has ended."""
    with database.write():
        for part in chunked(jobs, _ROWS):
            Job.update(cancel_requested=True).where(_among(part), Job.status == Status.RUNNING).execute()


def defer(jobs: list[Job], reason: str, *, until: dt.datetime, since: dt.datetime) -> None:
    """Queued jobs cannot start yet: store the reason, and when they are checked again."""
    with database.write():
        for part in chunked(jobs, _ROWS):
            values = {"reason": reason, "not_before": until, "waiting_since": since}
            Job.update(values).where(_among(part), Job.status == Status.QUEUED).execute()


def requeue_settled(jobs: list[Job]) -> None:
    """Queue settled jobs again, with all their attempts."""
    cleared = dict.fromkeys(("reason", "not_before", "waiting_since", "machine", "ended_at", "took_s"))
    counted = {"starts_without_progress": 0, "attempt_base": Job.attempt}
    _change_many(jobs, SETTLED, Status.QUEUED, cancel_requested=False, **cleared, **counted)


def pin_unplaced(jobs: list[Job], machine: str) -> None:
    """Pin those of these jobs that have neither a pin nor needs, as where one machine had the database."""
    with database.write():
        for part in chunked(jobs, _ROWS):
            unplaced = _among(part) & Job.pinned_to.is_null() & Job.needs.is_null()
            Job.update(pinned_to=machine).where(unplaced).execute()


def delete_results(jobs: list[Job]) -> None:
    """Delete everything these jobs have stored: their rows go, all that refers to them with them, and come back."""
    with database.write():
        for part in chunked(jobs, _ROWS):
            Job.delete().where(_among(part)).execute()
        _insert(Job._meta.sorted_fields, jobs)


def _change_many(jobs: list[Job], origins: tuple[Status, ...], to: Status, **fields: Any) -> None:
    """Change all of these jobs. Raises IllegalTransition, with nothing changed, when one is in another status."""
    if not all(to in TRANSITIONS[origin] for origin in origins):
        raise IllegalTransition(f"jobs cannot go from {', '.join(origins)} to {to}")
    with database.write():
        for part in chunked(jobs, _ROWS):
            known = _among(part) & Job.status.in_(origins)
            if Job.update({"status": to, **fields}).where(known).execute() != len(part):
                raise IllegalTransition(f"some of {len(part)} jobs are no longer {' or '.join(origins)}")
            for job in part:
                for name, value in {"status": to, **fields}.items():
                    setattr(job, name, getattr(job, value.name) if isinstance(value, peewee.Field) else value)


def _among(jobs: Iterable[Job]) -> peewee.Expression:
    """Rows with these ids. Written out as text, because a statement takes a limited number of parameters."""
    return Job.id.in_(peewee.SQL(f"({', '.join(str(int(job.id)) for job in jobs)})"))


def _insert(fields: list[Any], jobs: list[Job]) -> None:
    """Insert row by row with one text: to build a statement takes ten times as long as to execute it."""
    statement, _ = Job.insert(dict.fromkeys(fields)).sql()
    for job in jobs:
        database.db.execute_sql(statement, [field.db_value(job.__data__.get(field.name)) for field in fields])
