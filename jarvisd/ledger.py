"""The ledger: what was submitted, what is owed, how it ended. One row a run, one row a job.

The only functions that change a job's status are in this file and, for many rows at once, in `many.py`. A child's
writes are fenced by its attempt: what an earlier attempt still tries to write is refused.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import peewee

from jarvisd import crash
from jarvisd.errors import IllegalTransition, StaleAttempt

database = peewee.DatabaseProxy()

#: Starts in a row that committed nothing before a job is given up.
MAX_FRUITLESS = 3
#: No wait of a job is longer. One that seems to be was begun before somebody set the clock back: it is over.
LONGEST_WAIT = dt.timedelta(hours=1)


class Status(StrEnum):
    """How a job stands."""

    QUEUED = "queued"  #: owed: waiting for its turn, for memory, for the end of a backoff
    RUNNING = "running"  #: a child process works on it
    SUCCEEDED = "succeeded"  #: its child committed its outcome and ended with 0
    FAILED = "failed"  #: it could not be done; the reason says why
    CANCELLED = "cancelled"  #: the owner did not want it any more
    SKIPPED = "skipped"  #: never started: the deadline, memory or power did not allow it
    STOPPED = "stopped"  #: the deadline came while it ran; what it finished is kept


OPEN = (Status.QUEUED, Status.RUNNING)
SETTLED = tuple(status for status in Status if status not in OPEN)

#: Every change of status there is. `retry` is the only way out of a settled one.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.FAILED, Status.CANCELLED, Status.SKIPPED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.STOPPED}),
    **{status: frozenset({Status.QUEUED}) for status in SETTLED},
}


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class InstantField(peewee.TextField):
    """An instant as ISO 8601 in UTC with a fixed width, so that text order is time order on every database."""

    def db_value(self, value: dt.datetime | None) -> str | None:
        return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="microseconds")

    def python_value(self, value: str | None) -> dt.datetime | None:
        return None if value is None else dt.datetime.fromisoformat(value)


class JSONText(peewee.TextField):
    """A JSON document as text."""

    def db_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def python_value(self, value: str | None) -> Any:
        return None if value is None else json.loads(value)


class Record(peewee.Model):
    """A table of this database."""

    class Meta:
        database = database
        legacy_table_names = False


class Run(Record):
    """One submitted plan."""

    id = peewee.CharField(primary_key=True)  #: 2026-11-22-overnight, then ...-2
    number = peewee.IntegerField(unique=True)  #: order of submission
    plan = peewee.CharField()
    title = peewee.TextField(default="")
    night = peewee.CharField()  #: local date twelve hours before submission
    created_at = InstantField()
    deadline = InstantField(null=True)
    unique_key = peewee.CharField(null=True, unique=True)  #: plan@night while `once: nightly` holds it
    snapshot = JSONText()  #: resolved plan, versions, machine: all that a later rendering may need
    warnings = JSONText()
    started_at = InstantField(null=True)  #: when its first job started; its folder exists since then


class Job(Record):
    """One job of a run: one child process at a time."""

    run = peewee.ForeignKeyField(Run, backref="jobs", on_delete="CASCADE")
    name = peewee.CharField()
    kind = peewee.CharField()
    place = peewee.IntegerField()
    round = peewee.IntegerField(default=1)
    params = JSONText()
    status = peewee.CharField(default=Status.QUEUED, index=True)
    reason = peewee.TextField(null=True)
    memory_mb = peewee.IntegerField(default=0)
    timeout_s = peewee.IntegerField(null=True)
    attempts = peewee.IntegerField(null=True)  #: starts that it may have after a submission or a retry
    attempts_from = peewee.IntegerField(default=0)  #: its `attempt` at that submission or retry
    preload_blas = peewee.BooleanField(default=False)  #: see JobSpec
    attempt = peewee.IntegerField(default=0)  #: starts so far; only grows
    fruitless = peewee.IntegerField(default=0)  #: starts in a row that committed nothing
    not_before = InstantField(null=True)
    waiting_since = InstantField(null=True)  #: since when memory or power has kept it from starting
    machine = peewee.CharField(null=True)
    pid = peewee.IntegerField(null=True)
    pid_started = peewee.FloatField(null=True)
    boot_id = peewee.CharField(null=True)
    token = peewee.CharField(null=True)  #: in the child's command line: tells it from a reused pid
    cancel_requested = peewee.BooleanField(default=False)
    done = peewee.IntegerField(null=True)
    total = peewee.IntegerField(null=True)
    note = peewee.TextField(null=True)
    outcome = JSONText(null=True)  #: what the child committed last: {"attempt", "ok", "reason", "summary"}
    peak_memory_mb = peewee.IntegerField(null=True)
    exit_code = peewee.IntegerField(null=True)
    started_at = InstantField(null=True)
    ended_at = InstantField(null=True)
    #: how long its last attempt took, by a clock that stands still while the computer sleeps; null if unseen
    took_s = peewee.FloatField(null=True)

    class Meta:
        indexes = ((("run", "name", "round"), True),)


class Machine(Record):
    """What is true of one computer that works on this queue."""

    id = peewee.CharField(primary_key=True)
    paused_since = InstantField(null=True)
    paused_until = InstantField(null=True)  #: null while paused: until the next nightly run or `resume`
    daemon = JSONText(null=True)  #: {"pid", "started_at", "version"} of its daemon, as last written by it


# ------------------------------------------------------------------------------------------------- the connection


def connect(path: Path) -> None:
    """Bind the models to the database at `path`. Nothing is created; see `jarvisd.migrations`."""
    disconnect()
    database.initialize(
        peewee.SqliteDatabase(
            str(path),
            timeout=10,
            pragmas={
                "journal_mode": "wal",
                "synchronous": 2,
                "fullfsync": 1,
                "checkpoint_fullfsync": 1,
                "foreign_keys": 1,
                "cache_size": -8000,
            },
        )
    )


def disconnect() -> None:
    """Close this thread's connection, if it has one."""
    if database.obj is not None:
        database.close()


@contextmanager
def write() -> Iterator[None]:
    """One write transaction; inside another one, a part of it."""
    if database.in_transaction():
        yield
    elif isinstance(database.obj, peewee.SqliteDatabase):
        with database.atomic("IMMEDIATE"):
            yield
    else:
        with database.atomic():
            yield


# -------------------------------------------------------------------------------------------------- what is stored


def fresh_run_id(night: str, plan: str) -> str:
    """2026-11-22-overnight, then 2026-11-22-overnight-2, whichever is free."""
    base = f"{night}-{plan}"
    taken = {row.id for row in Run.select(Run.id).where(Run.id.startswith(base))}
    numbers = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
    return next(name for name in numbers if name not in taken)


def next_number() -> int:
    return int(Run.select(peewee.fn.MAX(Run.number)).scalar() or 0) + 1


# ------------------------------------------------------------------------------------------------ changes of status


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


def is_due(machine: str, at: dt.datetime) -> peewee.Expression:
    """Rows that `machine` may start at that time. A report is due when its round has nothing else left to do."""
    other = Job.alias()
    unfinished = other.select(peewee.SQL("1")).where(
        other.run == Job.run, other.round == Job.round, other.kind != "report", other.status.in_(OPEN)
    )
    return (
        (Job.status == Status.QUEUED)
        & (Job.machine.is_null() | (Job.machine == machine))
        & (Job.not_before.is_null() | (Job.not_before <= at) | (Job.not_before > at + LONGEST_WAIT))
        & ((Job.kind != "report") | ~peewee.fn.EXISTS(unfinished))
    )


def next_due(machine: str, at: dt.datetime) -> Job | None:
    """Runs with a deadline first, by deadline; then by submission; then by round and place in the plan."""
    order = (Run.deadline.is_null(), Run.deadline, Run.number, Job.round, Job.place, Job.id)
    query = Job.select(Job, Run).join(Run).where(is_due(machine, at)).order_by(*order).limit(1)
    return query.first()


def claim(machine: str, boot_id: str, at: dt.datetime, *, admitted: Job | None = None) -> Job | None:
    """Take the next due row for this machine, or None. Counts the start before the child does anything.

    Where another row than the `admitted` one is next by now, nothing is taken: nobody has looked what that one lacks.
    """
    with write():
        busy = Job.select().where(Job.status == Status.RUNNING, Job.machine == machine).exists()
        job = None if busy else next_due(machine, at)
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
        crash.point("claim.before-commit")
    crash.point("claim.committed")
    return job


def settle(job: Job, status: Status, reason: str | None, at: dt.datetime, **fields: Any) -> None:
    """End a job."""
    with write():
        _change(job, status, reason=reason, ended_at=at, pid=None, **fields)


def requeue(job: Job, reason: str | None, *, never_ran: bool = False, **fields: Any) -> None:
    """Put a running job back: its attempt ended without an end of the job. A start that never ran is given back."""
    if never_ran:
        fields |= {"fruitless": max(0, job.fruitless - 1), "attempts_from": job.attempts_from + 1}
    with write():
        _change(
            job,
            Status.QUEUED,
            reason=reason,
            machine=None,
            pid=None,
            **fields,
        )


# --------------------------------------------------------------------------------------- writes of a running child


def record_child(job: Job, pid: int, pid_started: float) -> None:
    with write():
        Job.update(pid=pid, pid_started=pid_started).where(Job.id == job.id).execute()
    job.pid, job.pid_started = pid, pid_started


@contextmanager
def fenced(job_id: int, attempt: int) -> Iterator[None]:
    """A write transaction of attempt `attempt`. Raises StaleAttempt when that is no longer the current one."""
    with write():
        current = (Job.id == job_id) & (Job.attempt == attempt) & (Job.status == Status.RUNNING)
        if not Job.select().where(current).exists():
            raise StaleAttempt(f"attempt {attempt} of job {job_id} is over; what it wrote is refused")
        yield


def jobs_of(run: Run | str) -> list[Job]:
    """The jobs of a run in their order."""
    return list(Job.select().where(Job.run == run).order_by(Job.round, Job.place, Job.id))


def report_row(run: Run | str, round_: int) -> Job | None:
    return Job.select().where(Job.run == run, Job.round == round_, Job.kind == "report").first()


def round_is_open(report: Job) -> bool:
    """Whether another job of the report's round is queued or running."""
    others = Job.select().where(Job.run == report.run_id, Job.round == report.round, Job.kind != "report")
    return bool(others.where(Job.status.in_(OPEN)).exists())


def cancel_wanted(job: Job) -> bool:
    return bool(Job.select(Job.cancel_requested).where(Job.id == job.id).scalar())


def is_settled(run: Run | str) -> bool:
    return not Job.select().where(Job.run == run, Job.status.in_(OPEN)).exists()


def paused(machine: str, at: dt.datetime) -> bool:
    """Whether `machine` may claim nothing at that time."""
    row = Machine.get_or_none(Machine.id == machine)
    if row is None or row.paused_since is None:
        return False
    return row.paused_until is None or row.paused_until > at
