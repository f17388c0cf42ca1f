"""The tables: one row per run, per job and per machine. Only `transitions.py` changes a job's status."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

import peewee
from playhouse.hybrid import hybrid_property

from jarvisd.registry import FINAL_KIND
from jarvisd.store.database import InstantField, JSONText, PlainLines, PlainText, Record

#: No wait of a job is longer. One that looks longer began before the clock was set back, so it is over.
LONGEST_WAIT = dt.timedelta(hours=1)


class Status(StrEnum):
    """The state of a job."""

    QUEUED = "queued"  #: pending: waiting for its turn, for memory, for the end of a backoff
    RUNNING = "running"  #: a child process works on it
    SUCCEEDED = "succeeded"  #: its child committed its outcome and ended with 0
    FAILED = "failed"  #: it could not be done; the reason says why
    CANCELLED = "cancelled"  #: the user cancelled it
    SKIPPED = "skipped"  #: never started: the deadline, memory or power did not allow it
    STOPPED = "stopped"  #: the deadline came while it ran; what it finished is kept


OPEN = (Status.QUEUED, Status.RUNNING)
SETTLED = tuple(status for status in Status if status not in OPEN)


class Run(Record):
    """One submitted plan."""

    id = peewee.CharField(primary_key=True)  #: 2026-11-22-overnight, then ...-2
    number = peewee.IntegerField(unique=True)  #: order of submission
    plan = peewee.CharField()
    title = PlainText(default="")
    night = peewee.CharField()  #: local date twelve hours before submission
    created_at = InstantField()
    deadline = InstantField(null=True)
    unique_key = peewee.CharField(null=True, unique=True)  #: plan@night while `once: nightly` holds it
    snapshot = JSONText()  #: resolved plan, versions, machine: a later rendering needs nothing else
    warnings = PlainLines()
    started_at = InstantField(null=True)  #: when its first job started; its folder exists since then
    start_at = InstantField(null=True)  #: none of its jobs starts before this instant
    priority = peewee.IntegerField(default=0)  #: runs with a higher one come first
    machine = peewee.CharField(null=True)  #: where it was submitted; null where the database is of one machine


class Job(Record):
    """One job of a run: one child process at a time."""

    run = peewee.ForeignKeyField(Run, backref="jobs", on_delete="CASCADE")
    name = peewee.CharField()
    kind = peewee.CharField()
    place = peewee.IntegerField()
    round = peewee.IntegerField(default=1)
    params = JSONText()
    status = peewee.CharField(default=Status.QUEUED, index=True)
    reason = PlainText(null=True)
    memory_mb = peewee.IntegerField(default=0)
    timeout_s = peewee.IntegerField(null=True)
    max_attempts = peewee.IntegerField(null=True)  #: starts that it may have after a submission or a retry
    attempt_base = peewee.IntegerField(default=0)  #: its `attempt` at that submission or retry
    env = JSONText(default=dict)  #: variables of the child beside those that every child gets
    attempt = peewee.IntegerField(default=0)  #: starts so far; only grows
    #: starts in a row that committed nothing; of a job with `max_attempts` those that did not begin its work
    starts_without_progress = peewee.IntegerField(default=0)
    work_began = peewee.BooleanField(default=False)  #: whether this attempt has begun the job's own code
    not_before = InstantField(null=True)
    waiting_since = InstantField(null=True)  #: since when memory or power has kept it from starting
    machine = peewee.CharField(null=True)
    pid = peewee.IntegerField(null=True)
    pid_started = peewee.DoubleField(null=True)
    boot_id = peewee.CharField(null=True)
    token = peewee.CharField(null=True)  #: in the child's command line: tells it from a reused pid
    cancel_requested = peewee.BooleanField(default=False)
    done = peewee.IntegerField(null=True)
    total = peewee.IntegerField(null=True)
    note = PlainText(null=True)
    outcome = JSONText(null=True)  #: what the child committed last: {"attempt", "ok", "reason", "summary"}
    peak_memory_mb = peewee.IntegerField(null=True)
    exit_code = peewee.IntegerField(null=True)
    started_at = InstantField(null=True)
    start_number = peewee.IntegerField(
        null=True, index=True
    )  #: of its last start: their order, whatever the clock said
    ended_at = InstantField(null=True)
    #: how long its last attempt took, by a clock that stands still while the computer sleeps; null if unseen
    took_s = peewee.DoubleField(null=True)
    pinned_to = peewee.CharField(null=True)  #: the machine that runs it; null = any that has what it needs
    needs = JSONText(null=True)  #: {"models": ["org/name@commit", ...], "memory_mb": n}; see `placement.py`
    may_move = peewee.BooleanField(default=False)  #: whether another machine may run it when its own is lost

    @hybrid_property  # type: ignore[untyped-decorator]
    def is_report(self) -> Any:
        """Whether it ends its round; on the class and its aliases an expression for a query."""
        return self.kind == FINAL_KIND

    class Meta:
        indexes = ((("run", "name", "round"), True),)


class RunLine(Record):
    """A line of a run's log, where several computers share the database; see `run_lines.py`."""

    run = peewee.ForeignKeyField(Run, backref="lines", on_delete="CASCADE")
    at = InstantField()
    text = PlainText()


class Dependency(Record):
    """A run that may begin only after a job, or after another run."""

    run = peewee.ForeignKeyField(Run, backref="dependencies", on_delete="CASCADE")  #: the run that waits
    of_run = peewee.CharField(index=True)  #: the run it waits for, or the run of that job; it may have been pruned
    of_job = peewee.IntegerField(null=True)  #: the job it waits for; null = all jobs of that run
    any_end = peewee.BooleanField()  #: False: the job must have succeeded, else this run is skipped


class GivenRun(Record):
    """The id of a run that was ever stored. It stays when the run is pruned: an id in a script means one run."""

    id = peewee.CharField(primary_key=True)


class LastNumber(Record):
    """The highest number ever given to a row: "run" for `Run.number`, "job" for `Job.id`. It only grows."""

    name = peewee.CharField(primary_key=True)
    number = peewee.IntegerField()


class Machine(Record):
    """One computer that works on this queue. Where the database is of one computer only its pause is stored."""

    id = peewee.CharField(primary_key=True)
    name = peewee.CharField(null=True)  #: as people call it
    seen_at = InstantField(null=True)  #: the last heartbeat of its daemon
    turned_at = InstantField(null=True)  #: when its worker loop last looked for a job, or watched one
    version = peewee.CharField(null=True)  #: of its daemon
    #: What it has: {"chip", "memory_mb", "largest_job_mb", "models": ["org/name@commit", ...], "reads_messages"}
    facts = JSONText(null=True)
    paused_since = InstantField(null=True)
    paused_until = InstantField(null=True)  #: null while paused: until the next nightly run or `resume`
