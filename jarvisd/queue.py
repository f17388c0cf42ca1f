"""The queue: Huey on the ledger's own database, so that a row and its message are stored together or not at all.

A message only rings: it says "look", and holds a job's id as a hint. Huey deletes it before the work is done; what
is owed is in the ledger. So whatever makes a row due rings in the same transaction, here.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any

import peewee
from huey.api import Huey
from huey.contrib.sql_huey import SqlStorage
from huey.registry import Message
from huey.serializer import Serializer

from jarvisd import crash, ledger, many
from jarvisd.errors import UsageError
from jarvisd.ledger import SETTLED, Job, Machine, Run, Status

_log = logging.getLogger("jarvisd.queue")


class JSONMessages(Serializer):
    """Messages as JSON: whoever can write to the queue's table must not be able to run code as the user."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict()).encode()

    def _deserialize(self, data: bytes) -> Message:
        fields = json.loads(data)
        if not isinstance(fields, dict) or not set(fields) <= set(Message._fields):
            raise ValueError("not a message of this queue")
        return Message(**fields)


def build(on_ring: Callable[[], None] | None = None) -> tuple[Huey, Callable[[int], Any]]:
    """Huey over the ledger's database, and the function that puts a message into its queue."""
    huey = Huey(
        "jarvisd",
        results=False,
        serializer=JSONMessages(),
        storage_class=SqlStorage,
        database=ledger.database.obj,
        create_tables=False,
    )

    @huey.task(name="look")  # type: ignore[untyped-decorator]
    def look(job_id: int) -> None:  # noqa: ARG001 - the id is a hint for people
        if on_ring is not None:
            on_ring()

    return huey, look


def tables() -> list[type[peewee.Model]]:
    """The models of Huey's own tables, for the first migration."""
    huey, _ = build()
    return [huey.storage.KV, huey.storage.Schedule, huey.storage.Task, huey.storage.Counter]


def ring(job_ids: list[int]) -> None:
    """Put one message for these rows into the queue, inside the caller's transaction; none when there are none.

    One is enough for ten thousand: whoever takes it does every due row until none is left.
    """
    if job_ids:
        _, look = build()
        look(job_ids[0])


def ring_for_owed() -> int:
    """Empty the queue's table and ring for the rows that are owed. Returns how many there are."""
    huey, _ = build()
    with ledger.write():
        huey.storage.flush_all()  # with what somebody else may have put there
        owed = [row.id for row in Job.select(Job.id).where(Job.status == Status.QUEUED).order_by(Job.id)]
        ring(owed)
    return len(owed)


def ring_if_silent(machine: str) -> bool:
    """The daemon's look by itself: if a row is due and no message would say so, ring."""
    huey, _ = build()
    huey.storage.flush_results()  # ours has none; a key planted there could revoke every message
    job = ledger.next_due(machine, ledger.now())
    if job is None or huey.storage.queue_size():
        return False
    with ledger.write():
        ring([job.id])
    return True


# ------------------------------------------------------------------------------------------------------ what people do


def submit(run: Run, jobs: list[Job]) -> None:
    """Store a run, its jobs and their messages: all or nothing."""
    with ledger.write():
        run.save(force_insert=True)
        many.store(jobs)
        crash.point("submit.rows-stored")
        ring([job.id for job in jobs])
        crash.point("submit.before-commit")


def settle(job: Job, status: Status, reason: str | None, at: dt.datetime, **fields: Any) -> None:
    """End a job. If nothing else of its round is left to do, this rings for the report.

    A report during which another job of its round was queued again is not ended but queued again: it did not see it.
    """
    with ledger.write():
        if job.kind == "report" and status == Status.SUCCEEDED and ledger.round_is_open(job):
            ledger.requeue(job, None, fruitless=0)
        else:
            ledger.settle(job, status, reason, at, **fields)
            if status == Status.SUCCEEDED:
                ring([row.id for row in _begin_next_round(job)])
        _ring_reports([job])
        crash.point("settle.before-commit")
    crash.point("settle.committed")


def _begin_next_round(job: Job) -> list[Job]:
    """Store the jobs that the outcome proposes for the next round, and a report to end it.

    Nothing where nothing is proposed, where the owner has cancelled the job meanwhile, or where the run has that round
    already: a report that is written again begins none.
    """
    outcome: dict[str, Any] = job.outcome or {}
    proposed = [] if ledger.cancel_wanted(job) else outcome.get("next_round", [])
    there = Job.select().where(Job.run == job.run_id, Job.round == job.round + 1).exists()
    if there or not proposed:
        return []
    crash.point("round.proposed")
    own = ledger.report_row(job.run_id, job.round)
    report = {"kind": "report", "name": own.name, "params": own.params} if own is not None else None
    rows = [
        Job(run=job.run_id, round=job.round + 1, place=place, **fields)
        for place, fields in enumerate([*proposed, *([report] if report else [])])
    ]
    for row in rows:
        row.save(force_insert=True)
    crash.point("round.stored")
    return rows


def _ring_reports(jobs: list[Job]) -> None:
    rounds = {(job.run_id, job.round) for job in jobs}
    reports = [ledger.report_row(run_id, round_) for run_id, round_ in sorted(rounds)]
    ring([report.id for report in reports if report is not None and report.status == Status.QUEUED])


def requeue(job: Job, reason: str | None, **fields: Any) -> None:
    """Put a running job back, or end it where its owner has asked for that meanwhile. For `fields` see the ledger."""
    with ledger.write():
        if ledger.cancel_wanted(job):
            settle(job, Status.CANCELLED, "cancelled by its owner", ledger.now())
        else:
            ledger.requeue(job, reason, **fields)
            ring([job.id])
            crash.point("requeue.before-commit")
    crash.point("requeue.committed")


def skip(jobs: list[Job], reason: str, at: dt.datetime) -> list[Job]:
    """End those of these jobs that are still queued and will not be started any more, all at once; returns them."""
    with ledger.write():
        queued = [job for job in many.as_they_are(jobs, whole=False) if job.status == Status.QUEUED]
        many.end_queued(queued, Status.SKIPPED, reason, at)
        _ring_reports(queued)
    return queued


def cancel(jobs: list[Job], at: dt.datetime) -> list[Job]:
    """Cancel what is open of these jobs; returns those that were. A running one ends within seconds."""
    with ledger.write():
        return _cancel(many.as_they_are(jobs, whole=False), at)


def _cancel(jobs: list[Job], at: dt.datetime) -> list[Job]:
    rows = [job for job in jobs if job.status in ledger.OPEN]
    queued = [job for job in rows if job.status == Status.QUEUED]
    running = [job.id for job in rows if job.status == Status.RUNNING]
    many.end_queued(queued, Status.CANCELLED, "cancelled by its owner", at)
    Job.update(cancel_requested=True).where(Job.id.in_(running)).execute()
    _ring_reports(rows)
    return rows


def cancel_run(run: Run, at: dt.datetime) -> list[Job]:
    """Cancel all that is open of a run, its report included, and let its plan be submitted again tonight."""
    with ledger.write():
        Run.update(unique_key=None).where(Run.id == run.id).execute()
        return _cancel(many.as_they_are(Job.select(Job.id).where(Job.run == run.id), whole=False), at)


def retry(jobs: list[Job], *, fresh: bool = False, deadline: dt.datetime | None = None) -> list[Job]:
    """Queue settled jobs again, and the report of their run with them unless it was cancelled.

    Pieces that succeeded are kept; `fresh` keeps none. The run's deadline becomes `deadline` (None: no limit).
    """
    with ledger.write():
        now = many.as_they_are(jobs, whole=fresh)
        chosen = [job for job in now if job.status in SETTLED]
        if not chosen:
            raise UsageError(
                "nothing to retry: " + ", ".join(f"{job.name} is {job.status}" for job in now),
                "`jarvisctl status` shows what waits and what runs.",
            )
        if fresh:
            many.forget_pieces(chosen)
        many.revive(chosen)
        chosen += _revive_reports(chosen)
        Run.update(deadline=deadline).where(Run.id.in_({job.run_id for job in chosen})).execute()
        ring([job.id for job in chosen])
        return chosen


def _revive_reports(jobs: list[Job]) -> list[Job]:
    revived = []
    for run_id, round_ in sorted({(job.run_id, job.round) for job in jobs}):
        report = ledger.report_row(run_id, round_)
        if report is not None and report.status in SETTLED and report.status != Status.CANCELLED:
            many.revive([report])
            revived.append(report)
    return revived


def pause(machine: str, at: dt.datetime, until: dt.datetime | None) -> None:
    """Claim nothing on this machine until then; what runs finishes."""
    with ledger.write():
        Machine.insert(id=machine, paused_since=at, paused_until=until).on_conflict(
            conflict_target=[Machine.id],
            update={Machine.paused_since: at, Machine.paused_until: until},
        ).execute()


def end_open_pause(machine: str) -> bool:
    """End a pause that was given no end: the next nightly run does this. False when there was none."""
    row = Machine.get_or_none(Machine.id == machine)
    if row is None or row.paused_since is None or row.paused_until is not None:
        return False
    return resume(machine)


def resume(machine: str) -> bool:
    """End a pause. False when there was none."""
    with ledger.write():
        ended = Machine.update(paused_since=None, paused_until=None).where(
            Machine.id == machine, Machine.paused_since.is_null(False)
        )
        changed = int(ended.execute())
        job = ledger.next_due(machine, ledger.now())
        if changed and job is not None:
            ring([job.id])
        return bool(changed)
